// How often a frozen picture is revived.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Reviver } from "../player/reviver.js";

/** Feeds a second at a time; gives when a cure was asked for and which. */
function run(reviver, seconds, sample) {
  const cures = [];
  for (let second = 0; second < seconds; second += 1) {
    const cure = reviver.feed({ nowMs: second * 1000, hidden: false, ...sample(second) });
    if (cure) cures.push([second, cure]);
  }
  return cures;
}

test("silence is cured by an ICE restart, less and less often", () => {
  const cures = run(new Reviver(), 200, () => ({ packets: 10, frames: 5, shown: 5 }));
  assert.ok(cures.length >= 4);
  assert.ok(cures.every(([, cure]) => cure === "restart-ice"));
  const waits = cures.slice(1).map(([at], index) => at - cures[index][0]);
  assert.ok(waits.every((wait, index) => index === 0 || wait >= waits[index - 1]));
  assert.ok(Math.max(...waits) <= 70);
});

test("packets without frames want a new offer, frames that are not shown the element attached again", () => {
  const undecoded = run(new Reviver(), 6, (second) => ({ packets: second, frames: 1, shown: 1 }));
  assert.deepEqual(undecoded.map(([, cure]) => cure), ["new-offer"]);
  const stuck = run(new Reviver(), 6, (second) => ({ packets: second, frames: second, shown: 1 }));
  assert.deepEqual(stuck.map(([, cure]) => cure), ["reattach"]);
});
