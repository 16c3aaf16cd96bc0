import assert from "node:assert/strict";
import { test } from "node:test";
import { POLL_EVERY_MS, SessionPoller } from "../player/session-poller.js";

/** Timers a test lets run by hand, and answers it gives one by one. */
function rig(/** @type {any[]} */ answers, goOnAfterError = true) {
  /** @type {{ action: () => void, ms: number }[]} */
  const waiting = [];
  /** @type {string[]} */
  const told = [];
  let asked = 0;
  const poller = new SessionPoller({
    get: async () => {
      asked += 1;
      const answer = answers.shift();
      if (answer instanceof Error) throw answer;
      return { status: answer };
    },
    onStatus: (status) => told.push(status.status),
    onError: () => goOnAfterError,
    timers: { set: (action, ms) => waiting.push({ action, ms }), clear: () => waiting.splice(0) },
  });
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  return { poller, waiting, told, settle, asked: () => asked };
}

test("asks at once, then every 2 s, and stops at running", async () => {
  const { poller, waiting, told, settle, asked } = rig(["starting", "starting", "running"]);
  poller.start();
  assert.equal(asked(), 1);
  await settle();
  for (const _ of [1, 2]) {
    const { action, ms } = waiting.shift() ?? assert.fail("nothing waits");
    assert.equal(ms, POLL_EVERY_MS);
    action();
    await settle();
  }
  assert.deepEqual(told, ["starting", "starting", "running"]);
  assert.equal(waiting.length, 0);
});

test("an error of the launch ends the asking", async () => {
  const { poller, waiting, told, settle } = rig(["error"]);
  poller.start();
  await settle();
  assert.deepEqual(told, ["error"]);
  assert.equal(waiting.length, 0);
});

test("while signaling is down it asks until the end, through running", async () => {
  const { poller, waiting, told, settle } = rig(["running", "stopped"]);
  poller.start({ untilEnd: true });
  await settle();
  waiting.shift()?.action();
  await settle();
  assert.deepEqual(told, ["running", "stopped"]);
  assert.equal(waiting.length, 0);
});

test("an answer that does not come is asked for again, a refusal is not", async () => {
  const first = rig([new Error("down"), "running"]);
  first.poller.start();
  await first.settle();
  assert.equal(first.waiting.length, 1);
  const second = rig([new Error("404")], false);
  second.poller.start();
  await second.settle();
  assert.equal(second.waiting.length, 0);
});

test("a late answer after stop is not told", async () => {
  const { poller, told, settle } = rig(["running"]);
  poller.start();
  poller.stop();
  await settle();
  assert.deepEqual(told, []);
});

test("starting twice asks once", async () => {
  const { poller, settle, asked } = rig(["starting"]);
  poller.start();
  poller.start();
  await settle();
  assert.equal(asked(), 1);
  poller.stop();
});

test("in a hurry it asks now, and never twice at a time", async () => {
  const { poller, waiting, told, settle, asked } = rig(["running", "running", "stopped"]);
  poller.start({ untilEnd: true });
  poller.hurry();
  poller.stop();
  poller.start({ untilEnd: true });
  assert.equal(asked(), 1, "the question that is under way serves");
  await settle();
  assert.equal(waiting.length, 1);
  poller.hurry();
  assert.equal(waiting.length, 0);
  await settle();
  waiting.shift()?.action();
  await settle();
  assert.deepEqual(told, ["running", "running", "stopped"]);
  poller.hurry();
  assert.equal(asked(), 3, "it is over");
});
