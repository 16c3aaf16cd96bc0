import assert from "node:assert/strict";
import { test } from "node:test";
import { Bridge, originAround } from "../embed/bridge.js";
import { fromParent, isToken, tokenOf } from "../embed/protocol.js";
import { VisitMemory } from "../embed/visit.js";
import { embeddedEnd, refusalInWords } from "../embed/words.js";

const OWN = "https://play.test";
const SITE = "https://site.test";

/** A frame in a page: what it hears and what it has said, to whom. */
function rig(/** @type {string | null} */ parentOrigin = null) {
  /** @type {{ message: any, to: string }[]} */
  const posted = [];
  /** @type {((event: any) => void)[]} */
  const listeners = [];
  const parent = { postMessage: (/** @type {any} */ message, /** @type {string} */ to) => posted.push({ message, to }) };
  const window = /** @type {any} */ ({ parent, addEventListener: (/** @type {string} */ _, /** @type {any} */ heard) => listeners.push(heard) });
  /** @type {any[]} */
  const opened = [];
  /** @type {any[]} */
  const called = [];
  const bridge = new Bridge({ window, origin: OWN, parentOrigin }, {
    open: (open, origin) => opened.push({ ...open, origin }),
    call: async (method, args) => {
      called.push([method, ...args]);
      if (method === "stop") throw Object.assign(new Error("No."), { code: "not_allowed" });
      return { method };
    },
  });
  const say = (/** @type {any} */ data, { origin = SITE, source = parent } = {}) => listeners.forEach((heard) => heard({ origin, source, data }));
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  return { bridge, posted, opened, called, say, settle, window };
}

const OPEN = { playgate: 1, type: "open", token: "pge_abc" };
const call = (/** @type {string} */ method, args = [], id = 1) => ({ playgate: 1, type: "call", id, method, args });

test("ready goes to anybody and holds nothing", () => {
  const { bridge, posted } = rig();
  bridge.ready();
  assert.deepEqual(posted, [{ message: { playgate: 1, type: "ready" }, to: "*" }]);
});

test("nothing of a visit is told before the parent is known and allowed", () => {
  const { bridge, posted, say } = rig();
  bridge.tell("state", {});
  assert.ok(bridge.allow([SITE]));
  bridge.tell("state", {});
  assert.deepEqual(posted, []);
  say(OPEN);
  bridge.tell("state", { state: "playing" });
  assert.deepEqual(posted, [{ message: { playgate: 1, type: "event", name: "state", detail: { state: "playing" } }, to: SITE }]);
});

test("a parent that the browser names and the token does not is no parent", () => {
  const { bridge, posted, say, called } = rig("https://evil.test");
  assert.equal(bridge.allow([SITE]), false);
  bridge.tell("state", {});
  assert.deepEqual(posted, []);
  say(call("stop"), { origin: "https://evil.test" });
  assert.deepEqual(called, []);
});

test("our own pages may always", () => {
  assert.ok(rig(OWN).bridge.allow([SITE]));
});

test("messages of forged sources and origins are not heard", async () => {
  const { bridge, say, opened, called, settle, window } = rig();
  say(OPEN, { source: /** @type {any} */ ({}) });
  say(OPEN, { source: window });
  say(OPEN, { origin: "null" });
  assert.deepEqual(opened, []);
  say(OPEN);
  assert.ok(bridge.allow([SITE]));
  for (const origin of ["https://evil.test", "https://site.test.evil.test", "http://site.test", "https://site.test:8443", "null", ""]) {
    say(call("mute", /** @type {any} */ ([true])), { origin });
  }
  say(call("mute", /** @type {any} */ ([true])), { source: /** @type {any} */ ({}) });
  await settle();
  assert.deepEqual(called, []);
  say(call("mute", /** @type {any} */ ([true])));
  await settle();
  assert.deepEqual(called, [["mute", true]]);
});

test("before a visit there is only opening one", async () => {
  const { say, opened, called, posted, settle } = rig();
  say(call("stop"));
  await settle();
  assert.deepEqual(called, []);
  assert.deepEqual(posted.map(({ message, to }) => [message.error.code, to]), [["not_open", SITE]]);
  say({ playgate: 1, type: "open" });
  assert.deepEqual(opened, [{ type: "open", token: null, muted: null, controls: null, origin: SITE }]);
});

test("calls are answered, refusals with their code, unknown ones too", async () => {
  const { bridge, say, posted, settle } = rig(SITE);
  bridge.allow([SITE]);
  say(call("play", [], 7));
  say(call("stop", [], 8));
  say(call("selfDestruct", [], 9));
  await settle();
  const answers = posted.map(({ message, to }) => ({ ...message, to })).sort((a, b) => a.id - b.id);
  assert.deepEqual(answers, [
    { playgate: 1, type: "answer", id: 7, ok: true, value: { method: "play" }, to: SITE },
    { playgate: 1, type: "answer", id: 8, ok: false, error: { code: "not_allowed", message: "No." }, to: SITE },
    { playgate: 1, type: "answer", id: 9, ok: false, error: { code: "unknown_method", message: "This player does not know that method." }, to: SITE },
  ]);
});

test("why there is no visit is told to the page that shows the frame, and calls are over with the visit", async () => {
  const { bridge, say, posted, called, settle } = rig(SITE);
  bridge.refused({ code: "embed_expired", message: "Over." });
  assert.deepEqual(posted, [{ message: { playgate: 1, type: "event", name: "error", detail: { code: "embed_expired", message: "Over." } }, to: SITE }]);
  bridge.allow([SITE]);
  bridge.close();
  say(call("play"));
  await settle();
  assert.deepEqual(called, []);
  bridge.tell("statistics", {});
  assert.ok(!posted.some(({ message }) => message.name === "statistics"));
});

test("what does not fit exactly is no message", () => {
  const bad = [
    null, 1, "open", [], {}, { type: "open" }, { playgate: 2, type: "open" }, { playgate: "1", type: "open" },
    { ...OPEN, token: 5 }, { ...OPEN, token: "eyJ.a.b" }, { ...OPEN, token: `pge_${"x".repeat(200)}` }, { playgate: 1, type: "ready" },
    { playgate: 1, type: "call", method: "play" }, call("play", /** @type {any} */ ([1])), call("mute", /** @type {any} */ ([{}])),
    call("mute", /** @type {any} */ (["x".repeat(200)])), call("mute", /** @type {any} */ ([1, 2])), { ...call("play"), args: "x" },
    { ...call("play"), id: Number.NaN }, { ...call("play"), id: {} },
  ];
  for (const data of bad) assert.equal(fromParent(data), null, JSON.stringify(data));
  for (const method of ["constructor", "toString", "__proto__"]) assert.equal(fromParent(call(method))?.type, "unknown-call");
  assert.deepEqual(fromParent({ ...OPEN, muted: true, controls: "yes" }), { type: "open", token: "pge_abc", muted: true, controls: null });
});

test("a token is read from a fragment and from nowhere else", () => {
  assert.equal(tokenOf("#pge_aB-_9"), "pge_aB-_9");
  for (const bad of ["", "#", "#token=pge_a", "#pge_", "#pge_a b", "#pge_a%20"]) assert.equal(tokenOf(bad), null, bad);
  assert.ok(!isToken(undefined));
});

test("the origin around is the browser's word: the ancestor, else the referrer", () => {
  const at = (/** @type {any} */ ancestorOrigins, referrer = "") => originAround({ location: { ancestorOrigins }, document: { referrer } });
  assert.equal(at([SITE, "https://top.test"], "https://other.test/"), SITE);
  assert.equal(at(undefined, "https://site.test/page?x#y"), SITE);
  assert.equal(at([], ""), null);
  assert.equal(at(undefined, "about:srcdoc"), null);
});

test("a frame whose storage is forbidden goes on without it", () => {
  const forbidden = () => {
    throw new Error("denied");
  };
  Object.defineProperty(globalThis, "sessionStorage", { configurable: true, get: forbidden });
  const memory = new VisitMemory("e1", "");
  memory.keep(/** @type {any} */ ({}));
  assert.equal(memory.recall(), null);
  memory.forget();

  /** @type {Map<string, string>} */
  const kept = new Map();
  const value = {
    getItem: (/** @type {string} */ key) => kept.get(key) ?? null,
    setItem: (/** @type {string} */ key, /** @type {string} */ text) => kept.set(key, text),
    removeItem: (/** @type {string} */ key) => kept.delete(key),
  };
  Object.defineProperty(globalThis, "sessionStorage", { configurable: true, value });
  const visit = /** @type {any} */ ({ sessionId: "s", token: "t", origins: [SITE], expiresAt: new Date(Date.now() + 60_000).toISOString() });
  memory.keep(visit);
  assert.deepEqual(memory.recall(), visit);
  assert.equal(new VisitMemory("e1", "playgate-1").recall(), null, "another frame of the same embed has its own");
  memory.keep({ ...visit, expiresAt: new Date(Date.now() - 1).toISOString() });
  assert.equal(memory.recall(), null);
  value.setItem("playgate.visit.e1.", "{");
  assert.equal(memory.recall(), null);
});

test("refusals are words for people, and say whether trying again makes sense", () => {
  for (const code of ["embed_unknown", "embed_wrong_site", "embed_expired", "embed_revoked", "embed_used_up", "embed_over"]) {
    const { title, text, passing } = refusalInWords(code, null);
    assert.ok(title && text && !passing && !/token|embed/i.test(title + text), code);
  }
  assert.equal(refusalInWords("embed_expired", "It ended at noon.").text, "It ended at noon.");
  for (const code of ["no_servers", "rate_limited", "network", "http_502"]) assert.ok(refusalInWords(code, null).passing, code);
  assert.equal(embeddedEnd("idle"), null);
  assert.match(embeddedEnd("grant_ended")?.title ?? "", /switched off/);
});
