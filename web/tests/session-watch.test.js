import assert from "node:assert/strict";
import { test } from "node:test";
import { SessionWatch } from "../player/session-watch.js";

/** A watch whose questions get these answers, one after the other: a status, an HTTP error, or `null` for none at all. */
function rig(/** @type {any[]} */ ...answers) {
  globalThis.fetch = async () => {
    const answer = answers.shift();
    if (answer === null || answer === undefined) throw new TypeError("no answer");
    const code = typeof answer === "number" ? answer : 200;
    return new Response(JSON.stringify(code === 200 ? answer : { error: "no" }), { status: code });
  };
  /** @type {string[]} */
  const told = [];
  const watch = new SessionWatch("1", {
    status: ({ status }) => told.push(status),
    unreachable: () => told.push("unreachable"),
    end: ({ reason, failed, detail }) => told.push(`${failed ? "failed" : "ended"} ${reason} ${detail}`),
  });
  const settle = async () => {
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  };
  return { watch, told, settle };
}

const RUNNING = { status: "running" };
const LOST = { status: "stopped", endReason: "node_lost", endDetail: "It was restarted." };

test("whoever is shut out learns from the status how the session ended", async () => {
  const { watch, told, settle } = rig(LOST);
  watch.shutOut("not_found", "There is no such session.");
  await settle();
  assert.deepEqual(told, ["ended node_lost It was restarted."]);
});

test("and waits for it while the server does not answer", async () => {
  const { watch, told, settle } = rig(null, 502, LOST);
  watch.shutOut("not_found", "There is no such session.");
  await settle();
  watch.hurry();
  await settle();
  watch.hurry();
  await settle();
  assert.deepEqual(told, ["unreachable", "unreachable", "ended node_lost It was restarted."]);
});

test("a session that runs on, or is not ours, ends with what signaling has said", async () => {
  for (const answer of [RUNNING, 404, 401]) {
    const { watch, told, settle } = rig(answer);
    watch.shutOut("unauthorized", "Sign in.");
    await settle();
    assert.deepEqual(told, ["failed unauthorized Sign in."], String(answer));
  }
});

test("the answer to a question of before being shut out decides nothing", async () => {
  const { watch, told, settle } = rig(RUNNING, LOST);
  watch.ask(true);
  watch.shutOut("not_found", "There is no such session.");
  await settle();
  assert.deepEqual(told, ["running"]);
  watch.hurry();
  await settle();
  assert.deepEqual(told, ["running", "ended node_lost It was restarted."]);
});

test("an end that signaling tells has the status's reason, or else its own", async () => {
  const { watch, told, settle } = rig({ status: "error", endReason: "launch_failed", endDetail: "No." }, null);
  await watch.ended("game_exited");
  await watch.ended("launch_timeout");
  await settle();
  assert.deepEqual(told, ["failed launch_failed No.", "failed launch_timeout null"]);
});
