import assert from "node:assert/strict";
import { test } from "node:test";
import { pictureBox, toPicture } from "../player/letterbox.js";
import { WheelScale } from "../player/wheel.js";

test("bars above and below are taken off", () => {
  const box = pictureBox({ left: 10, top: 20, width: 800, height: 800 }, 1280, 720);
  assert.deepEqual(box, { left: 10, top: 20 + 175, width: 800, height: 450 });
  assert.deepEqual(toPicture(box, 10, 195), { x: 0, y: 0, inside: true });
  assert.deepEqual(toPicture(box, 809.5, 644.5), { x: 65495, y: 65463, inside: true });
  assert.deepEqual(toPicture(box, 810, 645), { x: 65535, y: 65535, inside: false });
  assert.deepEqual(toPicture(box, 410, 420), { x: 32768, y: 32768, inside: true });
});

test("bars left and right are taken off", () => {
  const box = pictureBox({ left: 0, top: 0, width: 2000, height: 900 }, 1280, 720);
  assert.deepEqual(box, { left: 200, top: 0, width: 1600, height: 900 });
  assert.equal(toPicture(box, 1000, 0).x, 32768);
});

test("points on the bars are outside and clamped to the picture", () => {
  const box = pictureBox({ left: 0, top: 0, width: 2000, height: 900 }, 1280, 720);
  assert.deepEqual(toPicture(box, 100, 450), { x: 0, y: 32768, inside: false });
  assert.deepEqual(toPicture(box, 1990, -3), { x: 65535, y: 0, inside: false });
});

test("the middle of every pixel of the page is that very pixel of the game, to the corners", () => {
  /** As the receiver reads it. @param {number} place @param {number} size */
  const pixel = (place, size) => Math.floor((place * size) / 65536);
  for (const [width, height] of [[1280, 720], [640, 480], [1920, 1080], [3840, 2160]]) {
    const box = pictureBox({ left: 40, top: 7, width, height }, width, height);
    for (let x = 0; x < width; x += 1) assert.equal(pixel(toPicture(box, 40 + x + 0.5, 7.5).x, width), x);
    for (let y = 0; y < height; y += 1) assert.equal(pixel(toPicture(box, 40.5, 7 + y + 0.5).y, height), y);
  }
});

test("a box or a picture without size does no harm", () => {
  const box = pictureBox({ left: 0, top: 0, width: 0, height: 0 }, 1280, 720);
  assert.deepEqual(toPicture(box, 5, 5), { x: 0, y: 0, inside: false });
});

test("wheel steps are 1/120 of a notch and small turns gather", () => {
  const wheel = new WheelScale();
  assert.deepEqual(wheel.take({ deltaX: 0, deltaY: 100, deltaMode: 0 }), { dx: 0, dy: 120 });
  assert.deepEqual(wheel.take({ deltaX: 0, deltaY: -3, deltaMode: 1 }), { dx: 0, dy: -120 });
  assert.equal(wheel.take({ deltaX: 0.5, deltaY: 0, deltaMode: 0 }), null);
  assert.deepEqual(wheel.take({ deltaX: 0.5, deltaY: 0, deltaMode: 0 }), { dx: 1, dy: 0 });
});
