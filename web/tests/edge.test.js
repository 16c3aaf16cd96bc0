import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { EDGE_PX, edgeFor } from "../player/edge.js";

const WIDE = { width: 1280, height: 720 };

test("the handle stands where the picture stays largest", () => {
  assert.equal(edgeFor({ width: 1920, height: 950 }, WIDE, false), "side");
  assert.equal(edgeFor({ width: 1280, height: 800 }, WIDE, false), "top");
  assert.equal(edgeFor({ width: 1280, height: 720 }, { width: 640, height: 480 }, false), "side");
  // Where both take something, the side takes less.
  assert.equal(edgeFor(WIDE, WIDE, false), "side");
  assert.equal(edgeFor({ width: 640, height: 360 }, WIDE, false), "side");
});

test("in full screen the picture gives nothing away", () => {
  assert.equal(edgeFor({ width: 1920, height: 1080 }, WIDE, true), "none");
  assert.equal(edgeFor({ width: 1920, height: 1200 }, WIDE, true), "top");
  assert.equal(edgeFor({ width: 1920, height: 1080 }, { width: 640, height: 480 }, true), "side");
});

test("the style sheet knows the strip's width", () => {
  const css = readFileSync(new URL("../css/player.css", import.meta.url), "utf8");
  assert.equal(/#theatre \{[^}]*--edge-px: (\d+)px/.exec(css)?.[1], String(EDGE_PX));
});
