import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const read = (/** @type {string} */ path) => readFileSync(new URL(`../${path}`, import.meta.url), "utf8");

/** Every module that a script loads, itself included. */
function loaded(/** @type {string} */ path, seen = new Set()) {
  if (seen.has(path)) return seen;
  seen.add(path);
  for (const [, from = ""] of read(path).matchAll(/^import (?:[^"]*from )?"(\.[^"]+)";$/gm)) {
    loaded(new URL(from, `http://x/${path}`).pathname.slice(1), seen);
  }
  return seen;
}

test("the embed page asks at once for every module it needs", () => {
  const needed = loaded("embed/page.js");
  needed.delete("embed/page.js");
  const preloaded = [...read("embed.html").matchAll(/modulepreload" href="\/assets\/([^"]+)"/g)].map(([, path]) => path);
  assert.deepEqual([...preloaded].sort(), [...needed].sort());
});
