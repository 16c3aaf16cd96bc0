import assert from "node:assert/strict";
import { test } from "node:test";
import { MEDIA_BACKOFF, SIGNALING_BACKOFF, backoffMs } from "../player/backoff.js";
import { nextRung } from "../player/ladder.js";
import { Liveness } from "../player/liveness.js";

test("waits double up to their limit, within their spread", () => {
  const middle = [0, 1, 2, 3, 4, 5, 6, 50].map((attempt) => backoffMs(SIGNALING_BACKOFF, attempt, 0.5));
  assert.deepEqual(middle, [250, 500, 1_000, 2_000, 2_500, 2_500, 2_500, 2_500]);
  assert.equal(backoffMs(MEDIA_BACKOFF, 0, 0), 450);
  assert.equal(backoffMs(MEDIA_BACKOFF, 0, 1), 550);
});

test("a path that was up is restarted first, then offered anew", () => {
  const state = { everConnected: true, dtlsFailed: false };
  assert.deepEqual(nextRung({ ...state, attempt: 0 }, 0.5), { action: "restart-ice", delayMs: 0 });
  assert.deepEqual(nextRung({ ...state, attempt: 1 }, 0.5), { action: "new-offer", delayMs: 0 });
  assert.deepEqual(nextRung({ ...state, attempt: 2 }, 0.5), { action: "new-offer", delayMs: 500 });
  assert.deepEqual(nextRung({ ...state, attempt: 3 }, 0.5), { action: "new-offer", delayMs: 1_000 });
});

test("a path that never was up, or whose keys failed, needs a new offer at once", () => {
  assert.deepEqual(nextRung({ attempt: 0, everConnected: false, dtlsFailed: false }, 0.5), { action: "new-offer", delayMs: 0 });
  assert.deepEqual(nextRung({ attempt: 0, everConnected: true, dtlsFailed: true }, 0.5), { action: "new-offer", delayMs: 0 });
  assert.deepEqual(nextRung({ attempt: 1, everConnected: false, dtlsFailed: false }, 0.5), { action: "new-offer", delayMs: 500 });
});

/** Feeds one sample a second and gives the first verdict that is not `ok`, with its second. */
function watch(/** @type {(second: number) => object} */ sample, seconds = 60) {
  const liveness = new Liveness();
  for (let second = 0; second < seconds; second += 1) {
    const verdict = liveness.feed({ nowMs: second * 1_000, packets: 0, frames: 0, shown: 0, hidden: false, ...sample(second) });
    if (verdict !== "ok") return { verdict, second };
  }
  return null;
}

test("a still page with a frame a second is alive", () => {
  assert.equal(watch((n) => ({ packets: n * 3, frames: n, shown: n })), null);
});

test("silence, packets without frames, and frames nobody sees are told apart", () => {
  assert.deepEqual(watch((n) => ({ packets: Math.min(n, 5), frames: Math.min(n, 5), shown: Math.min(n, 5) })), { verdict: "no-packets", second: 11 });
  assert.equal(watch((n) => ({ packets: n, frames: Math.min(n, 5), shown: Math.min(n, 5) }))?.verdict, "not-decoding");
  assert.equal(watch((n) => ({ packets: n, frames: n, shown: Math.min(n, 5) }))?.verdict, "not-shown");
});

test("a hidden page and a new connection are not judged", () => {
  assert.equal(watch(() => ({ packets: 5, frames: 5, shown: 5, hidden: true })), null);
  assert.equal(watch((n) => ({ packets: n % 4, frames: n % 4, shown: n % 4 })), null);
});
