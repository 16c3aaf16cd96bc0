import assert from "node:assert/strict";
import { test } from "node:test";
import { SourceFaults } from "../player/source-faults.js";

const B_FRAMES = { code: "b_frames", message: "Turn them off." };
const NO_SETS = { code: "no_parameter_sets", message: "Send them." };

function rig() {
  const element = /** @type {any} */ ({ textContent: "", hidden: true });
  /** @type {string[]} */
  const notices = [];
  return { element, notices, faults: new SourceFaults(element, (words) => notices.push(words)) };
}

test("a source that cannot be shown is said to be the cause until there is a picture", () => {
  const { element, notices, faults } = rig();
  faults.tell([B_FRAMES, NO_SETS]);
  assert.deepEqual([element.hidden, element.textContent], [false, "This video can't be shown. Send them."]);
  assert.deepEqual(notices, []);
  faults.playing(true);
  assert.equal(element.hidden, true);
  faults.playing(false);
  faults.tell([]);
  assert.equal(element.hidden, true);
});

test("an uneven picture is noted once", () => {
  const { element, notices, faults } = rig();
  faults.tell([B_FRAMES]);
  assert.equal(element.hidden, true, "it will be shown");
  for (const playing of [true, false, true]) faults.playing(playing);
  faults.tell([B_FRAMES]);
  assert.deepEqual([faults.noticed, notices], [true, ["This video may stutter. Turn them off."]]);
});
