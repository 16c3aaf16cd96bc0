import assert from "node:assert/strict";
import { test } from "node:test";
import { asks, changeInWords, hotSeat, playersInWords, turnedDown, watchingInWords } from "../player/control-words.js";

/** @param {object} [change] */
const control = (change = {}) => ({
  type: /** @type {const} */ ("control"),
  you: { role: /** @type {const} */ ("spectator"), host: false },
  slots: 1,
  holders: [{ slot: 0, viewerId: "a", name: "Ada" }],
  requests: [],
  spectators: 1,
  ...change,
});
const mine = { you: { role: "player", slot: 0, host: false }, holders: [{ slot: 0, viewerId: "me", name: "Guest 2", until: 61_000 }] };
const asking = { requests: [{ viewerId: "me", name: "Guest 2" }] };

test("who plays is said in few words", () => {
  assert.equal(playersInWords(control(), "me"), "Ada plays");
  assert.equal(playersInWords(control(), "a"), "You play");
  assert.equal(playersInWords(control({ holders: [] }), "a"), "No one is playing");
  const both = [{ slot: 0, viewerId: "a", name: "Ada" }, { slot: 0, viewerId: "b", name: "Bob" }];
  assert.equal(playersInWords(control({ holders: both }), "b"), "You and Ada play");
  const pads = [both[0], { slot: 1, viewerId: "b", name: "Bob" }];
  assert.equal(playersInWords(control({ slots: 2, holders: pads }), "b"), "1 Ada, 2 You");
});

test("the crowd is counted", () => {
  assert.deepEqual([0, 1, 7].map(watchingInWords), ["No one watching", "1 watching", "7 watching"]);
});

test("a change is told to those it matters to", () => {
  const host = { you: { role: "spectator", host: true } };
  assert.equal(changeInWords(null, control(), "me", 0), null);
  assert.equal(changeInWords(control(), control({ spectators: 9 }), "me", 0), null);
  assert.equal(changeInWords(control(), control(mine), "me", 0), "You have the controls");
  assert.equal(changeInWords(control(mine), control(), "me", 0), "Ada has the controls now");
  assert.equal(changeInWords(control(mine), control(), "me", 61_000), "Your time is over. Ada plays");
  assert.equal(changeInWords(control(host), control({ ...host, ...asking }), "a", 0), "Guest 2 wants to play");
  assert.equal(changeInWords(control(), control(asking), "other", 0), null, "who only watches decides nothing");
});

test("a request that is gone without a slot was turned down", () => {
  assert.ok(asks(control(asking), "me"));
  assert.ok(turnedDown(control(asking), control(), "me"));
  assert.ok(!turnedDown(control(asking), control(mine), "me"));
  assert.ok(!turnedDown(control(), control(), "me"));
});

test("the hot-seat that ends first is shown", () => {
  const holders = [{ slot: 0, viewerId: "a", name: "A", until: 9 }, { slot: 1, viewerId: "b", name: "B", until: 5 }];
  assert.equal(hotSeat(control({ holders }))?.viewerId, "b");
  assert.equal(hotSeat(control()), null);
});
