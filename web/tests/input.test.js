// The binary frames, byte for byte: the same vectors as the test in signaling/src/input.rs.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as codec from "../player/input.js";

const bytes = (/** @type {Uint8Array} */ frame) => [...frame];

test("the layout is as documented", () => {
  assert.deepEqual(bytes(codec.encodeKey(0x2c, true)), [0x01, 0, 0x2c, 1]);
  assert.deepEqual(bytes(codec.encodeButton(2, false, 0x1234, 0xffff)), [0x02, 2, 0, 0x12, 0x34, 0xff, 0xff]);
  assert.deepEqual(bytes(codec.encodeWheel(0, -120)), [0x03, 0, 0, 0xff, 0x88]);
  assert.deepEqual(codec.encodeText("é\n").map(bytes), [[0x04, 0xc3, 0xa9, 0x0a]]);
  assert.deepEqual(bytes(codec.encodePointerDelta(-1, 256)), [0x05, 0xff, 0xff, 1, 0]);
  assert.deepEqual(bytes(codec.encodeHeartbeat()), [0x06]);
  assert.deepEqual(bytes(codec.encodeReleaseAll()), [0x07]);
  assert.deepEqual(bytes(codec.encodeTouch(15, codec.TOUCH.cancel, 1, 2)), [0x08, 15, 3, 0, 1, 0, 2]);
  assert.deepEqual(bytes(codec.encodePadPresence(3, true)), [0x09, 3, 1]);
  assert.deepEqual(bytes(codec.encodePointerMove(258, 3, 4)), [0x81, 1, 2, 0, 3, 0, 4]);
  assert.deepEqual(
    bytes(codec.encodePad(1, { pad: 1, buttons: 0x00010002, axes: [1, -1, 0, 0], triggers: [9, 255] })),
    [0x82, 0, 1, 1, 0, 1, 0, 2, 0, 1, 0xff, 0xff, 0, 0, 0, 0, 9, 255],
  );
});

test("numbers out of range are clamped and sequence numbers wrap", () => {
  assert.deepEqual(bytes(codec.encodeWheel(99_999, -99_999)), [0x03, 0x7f, 0xff, 0x80, 0x00]);
  assert.deepEqual(bytes(codec.encodePointerMove(65_536, -5, 70_000)), [0x81, 0, 0, 0, 0, 0xff, 0xff]);
  assert.deepEqual(bytes(codec.encodePad(0, { pad: 0, buttons: 0x80000000 | 0, axes: [0, 0, 0, 0], triggers: [0, 0] })).slice(4, 8), [0x80, 0, 0, 0]);
});

test("long text is cut between characters into frames of at most 256 bytes of text", () => {
  const text = "ä".repeat(127) + "😀".repeat(70);
  const frames = codec.encodeText(text);
  assert.ok(frames.every((frame) => frame.length <= 1 + codec.MAX_TEXT_BYTES && frame[0] === 0x04));
  const joined = frames.map((frame) => new TextDecoder("utf-8", { fatal: true }).decode(frame.subarray(1))).join("");
  assert.equal(joined, text);
});

test("text without anything to send gives no frame, and control characters are left out", () => {
  assert.deepEqual(codec.encodeText(""), []);
  assert.deepEqual(codec.encodeText("\u0007\u001b"), []);
  assert.deepEqual(codec.encodeText("a\u0000b\t").map(bytes), [[0x04, 0x61, 0x62, 0x09]]);
});
