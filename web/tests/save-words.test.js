import assert from "node:assert/strict";
import { test } from "node:test";
import { endInWords } from "../lib/words.js";
import { isGuest, saveInWords } from "../player/save-words.js";

const REASON = "Your save is too large to keep (612 MB; the limit is 512 MB). Your previous save is unchanged.";

test("progress is called saved only when it is", () => {
  assert.match(saveInWords({ status: "stored", reason: null }) ?? "", /progress is saved/);
  for (const status of /** @type {const} */ (["unchanged", "pending", "refused"])) {
    for (const reason of [null, REASON]) {
      assert.doesNotMatch(saveInWords({ status, reason }) ?? "", /progress is saved/, status);
    }
  }
  assert.equal(saveInWords(null), null);
  assert.equal(saveInWords(undefined), null);
});

test("the server's figures are shown", () => {
  assert.equal(saveInWords({ status: "refused", reason: REASON }), REASON);
  assert.match(saveInWords({ status: "refused", reason: null }) ?? "", /previous save is unchanged/);
  assert.match(saveInWords({ status: "pending", reason: null }) ?? "", /as soon as possible/);
});

test("what of a save is not kept is named", () => {
  const reason = "Not kept: `out` (a link that may lead outside the save).";
  assert.equal(saveInWords({ status: "stored", reason }), `Your progress is saved. ${reason}`);
  assert.equal(saveInWords({ status: "unchanged", reason }), `There was nothing new to save. ${reason}`);
});

test("a guest is told how far the save reaches", () => {
  assert.match(saveInWords({ status: "stored", reason: null }, { guest: true }) ?? "", /this browser/);
  assert.ok(isGuest("guest-0b9e4e0e-0000-4000-8000-000000000000"));
  assert.ok(!isGuest("ada") && !isGuest(undefined));
});

test("the reason of an end says nothing about the save", () => {
  for (const reason of ["stopped_by_user", "idle", "ttl", "game_exited", "game_crashed", "out_of_memory", "node_lost", "gateway_shutdown"]) {
    assert.doesNotMatch(endInWords(reason).text, /save/i, reason);
  }
});
