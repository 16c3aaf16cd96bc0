import assert from "node:assert/strict";
import { test } from "node:test";
import { KeepalivePlan } from "../player/keepalive-plan.js";

const MINUTE = 60_000;

test("an untouched tab never extends the lease, and is asked after 25 minutes", () => {
  const plan = new KeepalivePlan(0, true);
  plan.lease(30 * MINUTE, 0, false);
  for (let minute = 1; minute < 60; minute += 1) {
    const { send, ask, leftMs } = plan.decide(minute * MINUTE, minute * MINUTE);
    assert.equal(send, false);
    assert.equal(ask, minute >= 25);
    assert.equal(leftMs, (30 - minute) * MINUTE);
  }
});

test("a player who plays extends it every 5 minutes", () => {
  const plan = new KeepalivePlan(0, true);
  const sent = [];
  for (let second = 1; second <= 1_200; second += 1) {
    const now = second * 1_000;
    plan.input(now);
    if (plan.decide(now, now).send) {
      plan.sent(now);
      sent.push(second);
    }
  }
  assert.deepEqual(sent, [300, 600, 900, 1_200]);
});

test("one input since the last extension is enough, none is not", () => {
  const plan = new KeepalivePlan(0, true);
  plan.input(MINUTE);
  assert.ok(plan.decide(5 * MINUTE, 0).send);
  plan.sent(5 * MINUTE);
  assert.ok(!plan.decide(20 * MINUTE, 0).send);
  plan.input(21 * MINUTE);
  assert.ok(plan.decide(21 * MINUTE, 0).send);
});

test("whoever joins a session that ran before extends it with the first input", () => {
  const plan = new KeepalivePlan(0, false);
  plan.input(1_000);
  assert.ok(plan.decide(1_000, 0).send);
});

test("an answer to the question begins the 25 minutes anew", () => {
  const plan = new KeepalivePlan(0, true);
  assert.ok(plan.decide(26 * MINUTE, 0).ask);
  plan.input(26 * MINUTE);
  assert.ok(!plan.decide(27 * MINUTE, 0).ask);
  assert.ok(plan.decide(26 * MINUTE, 0).send);
});

test("a shorter lease makes everything shorter in proportion", () => {
  const plan = new KeepalivePlan(0, true);
  plan.lease(12_000, 0, true);
  assert.equal(plan.everyMs, 2_000);
  assert.equal(plan.askAfterMs, 10_000);
});

test("the time left follows the server's clock, not this one's", () => {
  const plan = new KeepalivePlan(0, true);
  assert.ok(Number.isNaN(plan.decide(0, 0).leftMs));
  plan.lease(1_000_000, 900_000, false);
  assert.equal(plan.decide(5, 940_000).leftMs, 60_000);
});
