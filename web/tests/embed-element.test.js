import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

const GATEWAY = "https://play.test";
const SRC = `${GATEWAY}/embed/e1`;

/** As much of a document as the element asks for. */
class FakeElement extends EventTarget {
  /** @type {Map<string, string>} */
  attributes = new Map();
  /** @type {any[]} */
  children = [];
  isConnected = false;
  hidden = false;
  textContent = "";
  getAttribute(/** @type {string} */ name) {
    return this.attributes.get(name) ?? null;
  }
  hasAttribute(/** @type {string} */ name) {
    return this.attributes.has(name);
  }
  setAttribute(/** @type {string} */ name, /** @type {string} */ value) {
    this.#change(name, value);
  }
  removeAttribute(/** @type {string} */ name) {
    this.#change(name, null);
  }
  toggleAttribute(/** @type {string} */ name, /** @type {boolean} */ on) {
    this.#change(name, on ? (this.getAttribute(name) ?? "") : null);
  }
  #change(/** @type {string} */ name, /** @type {string | null} */ value) {
    const before = this.getAttribute(name);
    if (value === null) this.attributes.delete(name);
    else this.attributes.set(name, String(value));
    const own = /** @type {any} */ (this);
    if (before !== value && own.constructor.observedAttributes?.includes(name)) own.attributeChangedCallback(name, before, value);
  }
  attachShadow() {
    return new FakeElement();
  }
  append(/** @type {any[]} */ ...children) {
    for (const child of children) child.parent = this;
    this.children.push(...children);
  }
  replaceChildren(/** @type {any[]} */ ...children) {
    this.children = [];
    this.append(...children);
  }
  remove() {
    const { parent } = /** @type {any} */ (this);
    if (parent) parent.children = parent.children.filter((/** @type {any} */ child) => child !== this);
  }
  focus() {}
}

/** @type {any[]} */
let frames = [];
const page = new EventTarget();
Object.assign(globalThis, {
  HTMLElement: FakeElement,
  window: page,
  customElements: { get: () => undefined, define: () => {} },
  document: {
    baseURI: "https://site.test/",
    createElement(/** @type {string} */ tag) {
      const made = /** @type {any} */ (tag === "playgate-player" ? new PlaygatePlayerElement() : new FakeElement());
      if (tag === "iframe") {
        made.posted = [];
        made.contentWindow = { postMessage: (/** @type {any} */ message, /** @type {string} */ to) => made.posted.push({ message, to }) };
        frames.push(made);
      }
      return made;
    },
  },
});
const { PlaygateError, PlaygatePlayerElement, mount } = await import("../embed/embed.js");

/** A message event as the browser makes them. */
function say(/** @type {any} */ data, { source = frames.at(-1).contentWindow, origin = GATEWAY } = {}) {
  page.dispatchEvent(Object.assign(new Event("message"), { data, source, origin }));
}
const ready = () => say({ playgate: 1, type: "ready" });
const event = (/** @type {string} */ name, detail = {}) => say({ playgate: 1, type: "event", name, detail });
const state = (/** @type {string} */ name) => event("state", { state: name, role: "player", muted: false, title: "Ember" });
const settle = () => new Promise((resolve) => setImmediate(resolve));

/** @param {Record<string, string>} attributes */
async function shown(attributes = { src: `${SRC}#pge_secret` }) {
  const player = /** @type {any} */ (document.createElement("playgate-player"));
  for (const [name, value] of Object.entries(attributes)) player.setAttribute(name, value);
  player.isConnected = true;
  player.connectedCallback();
  await settle();
  /** @type {any[]} */
  const told = [];
  for (const name of ["state", "end", "error", "statistics", "control"]) player.addEventListener(name, (/** @type {any} */ { detail }) => told.push([name, detail]));
  return { player, told, frame: frames.at(-1), sent: () => frames.at(-1).posted.map(({ message }) => message) };
}

beforeEach(() => {
  frames = [];
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
});

test("the frame has what it needs, and the token stays out of every address", async () => {
  const { player, frame } = await shown();
  assert.equal(frame.src, SRC);
  assert.equal(frame.allow, "autoplay; fullscreen; gamepad; clipboard-write; screen-wake-lock");
  assert.deepEqual([frame.referrerPolicy, frame.loading, frame.title], ["origin", "eager", "Game"]);
  assert.equal(player.getAttribute("src"), SRC);
  assert.ok(!JSON.stringify([...player.attributes]).includes("secret"));
  assert.equal(player.token, undefined);
  ready();
  assert.deepEqual(frame.posted, [{ message: { playgate: 1, type: "open", token: "pge_secret", muted: false, controls: false }, to: GATEWAY }]);
});

test("embed, token and gateway say the same as an address", async () => {
  const { player, frame } = await shown({ embed: "e1", token: "pge_secret", gateway: GATEWAY, muted: "", controls: "" });
  assert.equal(frame.src, SRC);
  assert.ok(!player.hasAttribute("token"));
  ready();
  assert.deepEqual(frame.posted.map(({ message }) => message), [{ playgate: 1, type: "open", token: "pge_secret", muted: true, controls: true }]);
});

test("addresses that are no web address load nothing", async () => {
  for (const src of ["javascript:alert(1)#pge_a", "data:text/html,x#pge_a", "", "http://#pge_a"]) {
    const { player } = await shown({ src });
    assert.equal(player.state, "failed", src);
  }
  assert.equal(frames.length, 0);
});

test("two players of one embed have a name each, and who takes the place of one has its name", async () => {
  const one = await shown({ src: `${GATEWAY}/embed/twice#pge_a` });
  const two = await shown({ src: `${GATEWAY}/embed/twice#pge_a` });
  assert.deepEqual([one.frame.name, two.frame.name], ["playgate-0", "playgate-1"]);
  one.player.disconnectedCallback();
  one.player.connectedCallback();
  await settle();
  assert.equal(frames.at(-1).name, "playgate-0");
  two.player.disconnectedCallback();
  const three = await shown({ src: `${GATEWAY}/embed/twice#pge_a` });
  assert.equal(three.frame.name, "playgate-1");
});

test("only the frame itself is heard, from the gateway's origin", async () => {
  const { player, told } = await shown();
  const bad = [{ origin: "https://evil.test" }, { origin: "null" }, { origin: "http://play.test" }, { source: /** @type {any} */ ({}) }, { source: null }];
  for (const forged of bad) {
    say({ playgate: 1, type: "ready" }, /** @type {any} */ (forged));
    say({ playgate: 1, type: "event", name: "state", detail: { state: "playing" } }, /** @type {any} */ (forged));
  }
  for (const data of [null, 1, "ready", { type: "ready" }, { playgate: 2, type: "ready" }, { playgate: 1, type: "event", name: "click", detail: {} }]) say(data);
  event("state", { state: "rich" });
  assert.deepEqual([frames[0].posted, told, player.state], [[], [], "launching"]);
});

test("calls wait for the visit, are answered and refused by it", async () => {
  const { player, sent } = await shown();
  const muted = player.mute();
  const stopped = player.stop();
  ready();
  assert.deepEqual(sent().map(({ type }) => type), ["open"]);
  state("launching");
  assert.deepEqual(sent().slice(1).map(({ method, args }) => [method, args]), [["mute", [true]], ["stop", []]]);
  const [, mute, stop] = sent();
  say({ playgate: 1, type: "answer", id: mute.id, ok: true, value: null }, { origin: "https://evil.test" });
  say({ playgate: 1, type: "answer", id: mute.id, ok: true, value: null });
  say({ playgate: 1, type: "answer", id: stop.id, ok: false, error: { code: "not_allowed", message: "Not yours." } });
  await muted;
  await assert.rejects(stopped, (error) => error instanceof PlaygateError && /** @type {any} */ (error).code === "not_allowed" && error.message === "Not yours.");
});

test("state, role and what is heard are the frame's", async () => {
  const { player, told } = await shown();
  ready();
  state("playing");
  assert.deepEqual([player.state, player.role, player.muted], ["playing", "player", false]);
  assert.deepEqual(told.at(-1), ["state", { state: "playing", role: "player", muted: false, title: "Ember" }]);
  event("statistics", { fps: 60 });
  assert.deepEqual(told.at(-1), ["statistics", { fps: 60 }]);
});

test("play is done when there is a picture, and opens anew after an end", async () => {
  const { player, sent } = await shown();
  ready();
  let played = player.play();
  state("connecting");
  state("playing");
  await played;
  state("ended");
  event("end", { reason: "idle", title: "Put away", text: "Nobody played." });
  played = player.play();
  assert.equal(sent().at(-1).type, "open");
  assert.equal(player.state, "launching");
  state("failed");
  event("end", { reason: "launch_failed", title: "It did not start", text: "No." });
  await assert.rejects(played, { code: "launch_failed", message: "No." });
});

test("a refusal before there is a visit is an error and refuses what waits", async () => {
  const { player, told } = await shown();
  const muted = player.mute();
  ready();
  event("error", { code: "embed_expired", message: "It is over." });
  await assert.rejects(muted, { code: "embed_expired" });
  assert.equal(player.state, "failed");
  assert.deepEqual(told.at(-1), ["error", { code: "embed_expired", message: "It is over." }]);
});

test("a frame that says nothing in ten seconds is told in words, and tried again ever more slowly", async () => {
  const { player, told, frame } = await shown();
  mock.timers.tick(9_999);
  assert.equal(player.state, "launching");
  mock.timers.tick(1);
  assert.equal(player.state, "failed");
  const [name, detail] = told.at(-1);
  assert.deepEqual([name, detail.code], ["error", "not_loaded"]);
  assert.match(detail.message, /play\.test/);
  mock.timers.tick(2_500);
  assert.equal(frames.length, 2);
  assert.notEqual(frames.at(-1), frame);
  mock.timers.tick(10_000);
  mock.timers.tick(2_500);
  assert.equal(frames.length, 2, "the second wait is longer");
  mock.timers.tick(2_500);
  assert.equal(frames.length, 3);
  ready();
  state("playing");
  mock.timers.tick(60_000);
  assert.equal(player.state, "playing");
});

test("a frame loaded anew inside is opened again; what it was asked is refused", async () => {
  const { player, sent } = await shown();
  ready();
  state("playing");
  const asked = player.releaseControl();
  ready();
  await assert.rejects(asked, { code: "reloaded" });
  assert.deepEqual(sent().filter(({ type }) => type === "open").length, 2);
});

test("started by a click it asks the gateway for nothing before", async () => {
  const { player, sent } = await shown({ src: `${SRC}#pge_secret`, start: "click" });
  assert.deepEqual([frames.length, player.state, player.getAttribute("src")], [0, "idle", SRC]);
  const played = player.play();
  assert.equal(frames.length, 1);
  ready();
  assert.deepEqual(sent(), [{ playgate: 1, type: "open", token: "pge_secret", muted: false, controls: false }]);
  state("playing");
  await played;
  await settle();
  assert.equal(frames.length, 1);
});

test("a call nobody answers is given up", async () => {
  const { player } = await shown();
  ready();
  state("playing");
  const asked = player.mute();
  mock.timers.tick(60_000);
  await assert.rejects(asked, { code: "timeout" });
});

test("mount puts one into an element, with its listeners", async () => {
  const place = /** @type {any} */ (new FakeElement());
  const player = /** @type {any} */ (mount(place, { src: `${SRC}#pge_m`, controls: true, on: { error: () => {} } }));
  assert.deepEqual(place.children, [player]);
  assert.ok(player.controls && !player.muted && player.src === SRC);
});
