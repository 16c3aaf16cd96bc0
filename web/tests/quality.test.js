import assert from "node:assert/strict";
import { test } from "node:test";
import { QualityMeter, REPORT_MS } from "../player/quality.js";

/** @param {Partial<import("../player/quality.js").Sums>} [change] */
const sums = (change) => ({ nowMs: 0, bytes: 0, packets: 0, lost: 0, frozenMs: 0, firstFrameMs: Number.NaN, roundTripMs: Number.NaN, transport: null, ...change });

test("a report tells what was counted since the last one, and the first frame once", () => {
  const meter = new QualityMeter();
  assert.equal(meter.feed(sums({ nowMs: 1_000, bytes: 500, packets: 5 })), null);
  assert.equal(meter.feed(sums({ nowMs: 1_000 + REPORT_MS - 1, bytes: 900, packets: 9 })), null);
  const first = meter.feed(
    sums({ nowMs: 1_000 + REPORT_MS, bytes: 10_500, packets: 105, lost: 3, frozenMs: 250.4, firstFrameMs: 321.6, roundTripMs: 20.4, transport: "udp" }),
  );
  assert.deepEqual(first, {
    durationMs: REPORT_MS,
    bytes: 10_000,
    packets: 100,
    lost: 3,
    frozenMs: 250,
    firstFrameMs: 322,
    roundTripMs: 20,
    transport: "udp",
  });
  const second = meter.feed(sums({ nowMs: 1_000 + 2 * REPORT_MS, bytes: 10_500, packets: 105, lost: 2, frozenMs: 250.4, firstFrameMs: 321.6 }));
  assert.deepEqual(second, { durationMs: REPORT_MS, bytes: 0, packets: 0, lost: 0, frozenMs: 0 });
});

test("the end is told however short the last piece is", () => {
  const meter = new QualityMeter();
  assert.equal(meter.feed(sums({ nowMs: 0 }), true), null);
  assert.equal(meter.feed(sums({ nowMs: 700, bytes: 70 }), true)?.durationMs, 700);
  assert.equal(meter.feed(sums({ nowMs: 700, bytes: 70 }), true), null);
});

test("another connection and a long sleep begin anew", () => {
  const meter = new QualityMeter();
  meter.feed(sums({ nowMs: 0, bytes: 1_000, packets: 10 }));
  assert.equal(meter.feed(sums({ nowMs: 20_000, bytes: 10, packets: 1 })), null);
  assert.equal(meter.feed(sums({ nowMs: 81_000, bytes: 100, packets: 2 })), null);
  assert.equal(meter.feed(sums({ nowMs: 91_000, bytes: 300, packets: 4 }))?.bytes, 200);
});

test("nothing of a report is out of the range that the gateway takes", () => {
  const meter = new QualityMeter();
  meter.feed(sums());
  const report = meter.feed(sums({ nowMs: 12_000, frozenMs: 99_999, firstFrameMs: 9e9, roundTripMs: 9e9 }));
  assert.deepEqual([report?.frozenMs, report?.firstFrameMs, report?.roundTripMs], [12_000, 600_000, 60_000]);
});
