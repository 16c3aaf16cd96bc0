import assert from "node:assert/strict";
import { test } from "node:test";
import { PlayState, SETTLED_MS } from "../player/play-state.js";

const FRAME = /** @type {const} */ ({ type: "frame", width: 1280, height: 720 });
const EMPTY = /** @type {const} */ ({ type: "frame", width: 0, height: 0 });
const MEDIA = /** @type {const} */ ({ type: "trouble", where: "media", tried: ["10.0.0.1:8080"] });
const linked = (/** @type {any} */ state, nowMs = 0) => ({ type: /** @type {const} */ ("link"), state, nowMs });
const status = (/** @type {string} */ of) => ({ type: /** @type {const} */ ("status"), status: of });
const signaling = (/** @type {boolean} */ open) => ({ type: /** @type {const} */ ("signaling"), open });
const UNREACHABLE = /** @type {const} */ ({ type: "unreachable", tried: ["play.test"] });

/** A play that has come so far; takes events, and keeps every page state and whether trouble was shown. */
function play(/** @type {any[]} */ ...events) {
  const state = new PlayState();
  /** @type {string[]} */
  const pages = [];
  /** @type {boolean[]} */
  const troubled = [];
  const step = (/** @type {any[]} */ ...more) => {
    for (const event of more) {
      state.step(event);
      if (pages.at(-1) !== state.view.page) pages.push(state.view.page);
      if (troubled.at(-1) !== (state.view.trouble !== null)) troubled.push(state.view.trouble !== null);
    }
    return state.view;
  };
  step({ type: "launch" }, { type: "join", fresh: true }, ...events);
  return { state, step, pages, troubled };
}
const playing = (/** @type {any[]} */ ...events) => play(signaling(true), status("running"), linked("connecting"), linked("connected"), FRAME, ...events);

test("a launch is told step by step until its first frame", () => {
  const { step, state, pages } = play();
  assert.deepEqual(step({ type: "status", status: "starting", progress: { step: "downloading", percent: 40 } }).waiting, { step: "downloading", percent: 40 });
  assert.deepEqual(step(status("running"), linked("connecting")).waiting, { step: "connecting", percent: null });
  assert.deepEqual(step(linked("connected")).waiting, { step: "waiting_for_picture", percent: null });
  assert.equal(step(FRAME).waiting, null);
  assert.deepEqual(pages, ["launching", "connecting", "playing"]);
  assert.equal(state.asks, true, "signaling is not open yet");
  step(signaling(true));
  assert.equal(state.asks, false);
});

test("an empty frame, or one without a connected link, is no picture", () => {
  const { step, pages } = play(status("running"), linked("connecting"));
  assert.equal(step(FRAME).page, "connecting");
  assert.equal(step(linked("connected"), EMPTY).page, "connecting");
  assert.equal(step({ type: "frame", width: 2, height: Number.NaN }).page, "connecting");
  assert.equal(pages.includes("playing"), false);
});

test("while nothing connects the trouble stays as it is, whatever comes in between", () => {
  const { step, pages, troubled } = play(signaling(true), status("running"), linked("connecting"), MEDIA);
  const shown = step();
  for (let round = 0; round < 10; round += 1) step(EMPTY, MEDIA, signaling(false), UNREACHABLE, signaling(true), status("running"), { type: "tick", nowMs: round * 5_000 });
  assert.deepEqual(step().trouble, shown.trouble);
  assert.deepEqual(pages, ["launching", "connecting"]);
  assert.deepEqual(troubled, [false, true]);
  assert.equal(step(linked("connected", 60_000)).trouble?.where, "media", "not before media flows");
  assert.equal(step(FRAME).trouble, null);
  assert.deepEqual(troubled, [false, true, false]);
});

test("once the link has been up for a while, what is missing is not the network's fault", () => {
  const { step } = play(status("running"), linked("connecting"), MEDIA, linked("connected", 1_000));
  assert.notEqual(step({ type: "tick", nowMs: 1_000 + SETTLED_MS - 1 }).trouble, null);
  assert.equal(step({ type: "tick", nowMs: 1_000 + SETTLED_MS }).trouble, null);
  assert.equal(step().waiting?.step, "waiting_for_picture");
  assert.equal(step(MEDIA).trouble, null, "trouble of before the link came up is late");
});

test("a silence with the signaling lost is not blamed on the game", () => {
  const { step } = playing({ type: "silent" }, { type: "signaling", open: false });
  assert.equal(step().banner, "reconnecting");
});

test("a source that falls silent and comes back plays on at its first frame", () => {
  const { step, pages, state } = playing({ type: "silent" });
  assert.equal(step().banner, "no_video");
  assert.equal(state.asks, true);
  assert.equal(step(MEDIA).trouble, null, "the link is up");
  assert.equal(step(FRAME).banner, null);
  assert.deepEqual(pages.slice(-2), ["reconnecting", "playing"]);
});

test("media that comes back ends every trouble, whichever way it went", () => {
  const ways = [
    [linked("reconnecting"), linked("connected"), FRAME],
    [linked("reconnecting"), MEDIA, linked("connected"), FRAME],
    [signaling(false), linked("reconnecting"), UNREACHABLE, linked("connected"), FRAME],
    [{ type: "silent" }, linked("reconnecting"), linked("connecting"), MEDIA, UNREACHABLE, linked("connected"), EMPTY, FRAME],
  ];
  for (const way of ways) {
    const { step } = playing(...way);
    assert.deepEqual(step(), { page: "playing", waiting: null, banner: null, trouble: null }, JSON.stringify(way));
  }
});

test("the old picture is no proof: after a loss a new frame has to come", () => {
  const { step } = playing(linked("reconnecting"));
  assert.equal(step(FRAME).page, "reconnecting");
  assert.equal(step(linked("connected")).page, "reconnecting");
  assert.equal(step(FRAME).page, "playing");
});

test("nothing is said about the game before the server has been asked", () => {
  const { step, state } = playing();
  assert.equal(step(signaling(false)).page, "playing", "media does not depend on signaling");
  assert.equal(state.asks, true);
  assert.equal(step(linked("reconnecting")).banner, "reconnecting");
  assert.equal(step(status("running")).banner, "reconnecting_running");
  const lost = step(UNREACHABLE);
  assert.deepEqual(lost.trouble, { where: "signaling", tried: ["play.test"], before: true, running: false });
  assert.equal(lost.banner, null, "one word at a time");
  assert.equal(step(MEDIA).trouble?.where, "media");
  assert.equal(step().trouble?.running, false);
  assert.equal(step(status("running")).trouble?.running, true);
  assert.equal(step(signaling(true), signaling(false)).trouble?.running, false, "asked again after each loss");
});

test("an end is the end", () => {
  const { step } = playing(linked("reconnecting"), MEDIA, { type: "end", failed: false });
  const ended = { page: "ended", waiting: null, banner: null, trouble: null };
  assert.deepEqual(step(), ended);
  assert.deepEqual(step(linked("connected"), FRAME, MEDIA, { type: "end", failed: true }), ended);
  assert.equal(play({ type: "end", failed: true }).step().page, "failed");
});

test("a stop that is under way is said, and one that failed no longer", () => {
  const { step } = playing({ type: "stopping", on: true });
  assert.equal(step().banner, "stopping");
  assert.equal(step({ type: "stopping", on: false }).banner, null);
  assert.equal(step(status("stopping")).banner, "ending");
});

// Every order of events there is, as far as chance finds them: the promises of the module's head.
test("whatever happens, playing means flowing, and trouble and banner mean that nothing flows", () => {
  let seed = 20261130;
  const random = (/** @type {number} */ below) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((seed / 2_147_483_648) * below);
  };
  const links = ["connecting", "connected", "reconnecting"];
  const makers = [() => FRAME, () => EMPTY, () => MEDIA, () => UNREACHABLE, () => ({ type: "silent" }), () => linked(links[random(3)], random(9) * 1_000),
    () => signaling(random(2) === 1), () => status(["starting", "running"][random(2)] ?? ""), () => ({ type: "tick", nowMs: random(9) * 1_000 })];
  for (let run = 0; run < 300; run += 1) {
    const { state } = play();
    let link = "idle";
    let flows = false;
    for (let at = 0; at < 60; at += 1) {
      /** @type {any} */
      const event = makers[random(makers.length)]?.();
      if (event.type === "link") {
        link = event.state;
        flows &&= link === "connected";
      }
      if (event.type === "silent") flows = false;
      if (event === FRAME && link === "connected") flows = true;
      state.step(event);
      const { page, banner, trouble } = state.view;
      assert.equal(page === "playing", flows, `run ${run}, event ${at}: ${JSON.stringify(event)}`);
      if (flows) assert.deepEqual([banner, trouble], [null, null]);
    }
  }
});
