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

/** What a page asks for before its scripts have been read. */
const preloaded = (/** @type {string} */ page) => [...read(page).matchAll(/modulepreload" href="\/assets\/([^"]+)"/g)].map(([, path]) => path).sort();

test("the embed page asks at once for every module it needs", () => {
  const needed = loaded("embed/page.js");
  needed.delete("embed/page.js");
  assert.deepEqual(preloaded("embed.html"), [...needed].sort());
});

test("the page of the player asks at once for every module that who launches and who joins both need", () => {
  const joins = loaded("session/page.js");
  const both = [...loaded("play/page.js")].filter((path) => joins.has(path));
  assert.deepEqual(preloaded("player.html"), both.sort());
});
