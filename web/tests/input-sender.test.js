// What is held, and that nothing stays held.

import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { InputSender } from "../player/input-sender.js";
import { TOUCH } from "../player/input.js";

function channel() {
  return {
    readyState: "open",
    bufferedAmount: 0,
    /** @type {number[][]} */
    frames: [],
    /** @param {Uint8Array} frame */
    send(frame) {
      this.frames.push([...frame]);
    },
  };
}

function sender() {
  const reliable = channel();
  const pointer = channel();
  let activity = 0;
  const made = new InputSender(() => (activity += 1));
  made.bind({ reliable, pointer });
  return { made, reliable, pointer, activity: () => activity };
}

test("a key goes down once and up once, however often it repeats", () => {
  const { made, reliable } = sender();
  made.key(4, true);
  made.key(4, true);
  made.key(4, false);
  made.key(4, false);
  assert.deepEqual(reliable.frames, [[1, 0, 4, 1], [1, 0, 4, 0]]);
  assert.equal(made.holding, false);
});

test("a heartbeat every 250 ms while anything is held, and none after", () => {
  mock.timers.enable({ apis: ["setInterval", "setTimeout"] });
  try {
    const { made, reliable } = sender();
    made.key(4, true);
    made.button(0, true, 1, 1);
    mock.timers.tick(1_000);
    assert.equal(reliable.frames.filter(([kind]) => kind === 6).length, 4);
    made.key(4, false);
    mock.timers.tick(250);
    assert.equal(reliable.frames.filter(([kind]) => kind === 6).length, 5);
    made.button(0, false, 1, 1);
    mock.timers.tick(2_000);
    assert.equal(reliable.frames.filter(([kind]) => kind === 6).length, 5);
  } finally {
    mock.timers.reset();
  }
});

test("three heartbeats follow a press on the other channel, so that its loss is noticed", () => {
  mock.timers.enable({ apis: ["setInterval", "setTimeout"] });
  try {
    const { made, pointer } = sender();
    made.key(4, true);
    mock.timers.tick(20);
    made.key(5, true);
    assert.deepEqual(pointer.frames, [[6]]);
    for (let passed = 0; passed < 1_000; passed += 5) mock.timers.tick(5);
    assert.deepEqual(pointer.frames, [[6], [6], [6], [6]]);
  } finally {
    mock.timers.reset();
  }
});

test("release-all is said once and only when something is held", () => {
  const { made, reliable } = sender();
  made.releaseAll();
  made.key(4, true);
  made.releaseAll();
  made.releaseAll();
  assert.deepEqual(reliable.frames, [[1, 0, 4, 1], [7]]);
  made.key(4, false);
  assert.equal(reliable.frames.length, 2);
});

test("nothing counts as held while there is no channel or after a new one", () => {
  const { made } = sender();
  made.key(4, true);
  made.bind(null);
  assert.equal(made.holding, false);
  made.key(5, true);
  assert.equal(made.holding, false);
  const { reliable, pointer } = { reliable: channel(), pointer: channel() };
  made.bind({ reliable, pointer });
  made.key(4, true);
  assert.deepEqual(reliable.frames, [[1, 0, 4, 1]]);
  made.releaseAll();
});

test("a full channel drops movements but never keys", () => {
  const { made, reliable, pointer } = sender();
  reliable.bufferedAmount = pointer.bufferedAmount = 1_000_000;
  made.wheel(0, 120);
  made.move(1, 1);
  made.key(4, true);
  made.key(4, false);
  assert.deepEqual(reliable.frames, [[1, 0, 4, 1], [1, 0, 4, 0]]);
  assert.equal(pointer.frames.length, 0);
  assert.equal(made.dropped, 2);
  made.bind(null);
});

test("touches that never began neither move nor end", () => {
  const { made, reliable } = sender();
  made.touch(0, TOUCH.move, 1, 1);
  made.touch(0, TOUCH.end, 1, 1);
  made.touch(0, TOUCH.start, 1, 1);
  made.touch(0, TOUCH.move, 2, 2);
  made.touch(0, TOUCH.cancel, 2, 2);
  assert.deepEqual(reliable.frames.map(([kind, contact, phase]) => [kind, contact, phase]), [[8, 0, 0], [8, 0, 1], [8, 0, 3]]);
});

test("the last position is said once more, with a newer number", () => {
  mock.timers.enable({ apis: ["setInterval", "setTimeout"] });
  try {
    const { made, pointer } = sender();
    made.move(1, 2);
    made.move(3, 4);
    mock.timers.tick(500);
    assert.deepEqual(pointer.frames, [[0x81, 0, 0, 0, 1, 0, 2], [0x81, 0, 1, 0, 3, 0, 4], [0x81, 0, 2, 0, 3, 0, 4]]);
  } finally {
    mock.timers.reset();
  }
});
