// The player inside somebody else's page, `/embed/{id}`: exchanges its token for a visit, plays it, tells the page around it.
// The token comes in the fragment (gone from the address at once) or from the parent. What it must not do: rely on a cookie
// or on storage, show a way into our own site, tell an origin that the token does not name.

import { ApiError, api, serverNow } from "../lib/api.js";
import { byId, h } from "../lib/dom.js";
import { endInWords } from "../lib/words.js";
import { SIGNALING_BACKOFF, backoffMs } from "../player/backoff.js";
import { endingPanel } from "../player/ending.js";
import { Player } from "../player/player.js";
import { pageState, setState } from "../player/state.js";
import { Bridge, originAround } from "./bridge.js";
import { tokenOf } from "./protocol.js";
import { VisitMemory, makeVisit, stillGood } from "./visit.js";
import { embeddedEnd, refusalInWords } from "./words.js";

/** @typedef {import("../lib/api.js").Visit} Visit */

/** How long a frame without a token waits for its parent to bring one, in milliseconds. */
const OPEN_WITHIN_MS = 10_000;

const main = byId("main");
const embedId = decodeURIComponent(location.pathname.split("/")[2] ?? "");
const memory = new VisitMemory(embedId, window.name);
let token = takeToken();
let wish = { muted: false, controls: true };
/** @type {Player | null} */
let player = null;
/** @type {Visit | null} */
let visit = null;
/** @type {"player" | "spectator" | null} */
let role = null;
let muted = true;
/** A visit is being made or played. */
let busy = false;
let failures = 0;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;
/** What was told last of what is told again and again. @type {Map<string, string>} */
const told = new Map();

const around = { window, origin: location.origin, parentOrigin: originAround(window) };
const bridge = new Bridge(around, { open: opened, call: called });

setState("idle");
// Keys go to the game whenever the frame is given the focus as a whole.
window.addEventListener("focus", () => document.activeElement === document.body && player?.focus());
window.addEventListener("keydown", leaveBare, { capture: true });
begin();

function begin() {
  if (window.parent === window) {
    refuse(new ApiError(0, "not_embedded", ""));
    return;
  }
  bridge.ready();
  const kept = memory.recall();
  if (kept || token) void enter(kept);
  else timer = setTimeout(() => refuse(new ApiError(0, "no_token", "")), OPEN_WITHIN_MS);
}

function takeToken() {
  const brought = tokenOf(location.hash);
  if (location.hash) history.replaceState(null, "", location.pathname + location.search);
  return brought;
}

/** @param {import("./protocol.js").Open} open */
function opened(open) {
  token = open.token ?? token;
  wish = { muted: open.muted ?? wish.muted, controls: open.controls ?? wish.controls };
  document.body.classList.toggle("bare", !wish.controls);
  if (open.muted !== null) player?.mute(open.muted);
  // Only now it is known whom to tell.
  if (busy) tellState();
  else if (token) void enter(null);
  else refuse(new ApiError(0, "no_token", ""));
}

/** @param {Visit | null} kept of before, which may still be good */
async function enter(kept) {
  busy = true;
  clearTimeout(timer);
  main.replaceChildren();
  const shown = new Player({ place: byId("theatre-place"), embedded: true, bare: () => !wish.controls, onEnd: fall, onEvent: heard, onControl: controlled });
  player = shown;
  shown.mute(wish.muted);
  shown.prepare({ title: "", poster: null, clickedAt: performance.now() });
  try {
    visit = await begun(kept);
  } catch (error) {
    shown.dismiss();
    refuse(error);
    return;
  }
  if (!bridge.allow(visit.origins)) {
    shown.dismiss();
    if (visit.mayStop) void api.stop(visit.sessionId).catch(() => {});
    refuse(new ApiError(403, "embed_wrong_site", ""));
    return;
  }
  failures = 0;
  told.clear();
  role = visit.role;
  memory.keep(visit);
  tellState();
  shown.named(visit.gameTitle);
  const { sessionId, token: grant, mayStop } = visit;
  shown.join({ sessionId, token: grant, owner: mayStop, fresh: mayStop && visit !== kept, plays: role !== "spectator" });
  void api.thumbnail(visit.gameSlug).then((address) => shown.poster(address));
}

/** @param {Visit | null} kept @returns {Promise<Visit>} */
async function begun(kept) {
  if (kept && (await stillGood(kept))) return kept;
  memory.forget();
  if (!token) throw new ApiError(0, "no_token", "");
  return makeVisit(token, embedId);
}

/** @param {string} name @param {any} detail what the player tells */
function heard(name, detail) {
  if (name === "state") {
    tellState();
  } else if (name === "sound") {
    muted = detail.muted;
    tellState();
  } else if (name === "progress") {
    tellOnce(name, detail);
  } else {
    bridge.tell(name, detail);
  }
}

/** @param {import("../player/signaling.js").ControlMessage} control who holds what */
function controlled({ type: _, ...control }) {
  role = control.you.role;
  bridge.tell("control", {
    ...control,
    you: counted(control.you),
    holders: control.holders.map(counted),
    requests: control.requests.map(counted),
  });
  tellState();
}

/**
 * Slots as people count them: 1 to 4, here as in the API.
 *
 * @template {{ slot?: number }} T
 * @param {T} of
 */
function counted(of) {
  return of.slot === undefined ? of : { ...of, slot: of.slot + 1 };
}

function tellState() {
  tellOnce("state", { state: pageState(), role, muted, title: visit?.gameTitle ?? null });
}

/** @param {string} name @param {unknown} detail */
function tellOnce(name, detail) {
  const said = JSON.stringify(detail);
  if (said === told.get(name) || !bridge.open) return;
  told.set(name, said);
  bridge.tell(name, detail);
}

/** @param {import("../player/player.js").Outcome} outcome */
function fall({ reason, detail, report, failed, save }) {
  const words = embeddedEnd(reason);
  bridge.tell("end", { reason, ...(words ?? endInWords(reason)), detail, failed, figures: report });
  bridge.close();
  busy = false;
  // Taken over by another window, or left without an answer: the visit may still be good.
  const here = reason === "replaced" || reason === "left" || reason === "full" ? visit : null;
  if (!here) memory.forget();
  const again = here || comesBack(reason) ? () => void enter(here) : null;
  const panel = endingPanel({ reason, detail, report, failed, save, words, again, againText: reason === "left" ? "Resume" : reason === "full" ? "Try again" : here ? "Play here" : failed ? "Try again" : "Play again" });
  byId("theatre").append(panel);
  if (document.hasFocus()) panel.focus({ preventScroll: true });
}

/**
 * Whether another visit has something to show. Whoever only watched a game that has ended has nothing to come back to; who
 * was shut out would be again, unless only this visit had run out.
 *
 * @param {string | null} reason
 */
function comesBack(reason) {
  if (!visit || !token) return false;
  const shutOut = reason === "grant_ended" || reason === "unauthorized";
  return shutOut ? Date.parse(visit.expiresAt) <= serverNow() : visit.mayStop;
}

/** @param {unknown} error */
function refuse(error) {
  busy = false;
  bridge.close();
  const { code, message } = error instanceof ApiError ? error : new ApiError(0, "failed", "");
  const { title, text, passing } = refusalInWords(code, message);
  setState("failed");
  bridge.refused({ code, message: text });
  const again = h("button", { type: "button", class: "button primary", id: "again", text: "Try again", onclick: () => void enter(memory.recall()) });
  const panel = h(
    "section",
    { id: "refused", data: { code }, role: "alert" },
    h("h1", { text: title }),
    h("p", { id: "refused-why", text }),
    passing ? again : null,
  );
  main.replaceChildren(panel);
  if (code === "network") {
    timer = setTimeout(() => void enter(memory.recall()), backoffMs({ ...SIGNALING_BACKOFF, firstMs: 2_000, maxMs: 30_000 }, failures, Math.random()));
    failures += 1;
  }
}

/**
 * @param {import("./protocol.js").Method} method
 * @param {any[]} args
 */
async function called(method, args) {
  const playing = player;
  if (!playing) throw new ApiError(0, "not_open", "There is no visit.");
  switch (method) {
    case "play":
      playing.play();
      break;
    case "mute":
      wish = { ...wish, muted: args[0] !== false };
      playing.mute(wish.muted);
      // At once, so that whoever asked finds it so; that it is heard is told when the browser has let it.
      if (wish.muted) heard("sound", { muted: true });
      break;
    case "controls":
      wish = { ...wish, controls: args[0] !== false };
      document.body.classList.toggle("bare", !wish.controls);
      break;
    case "requestControl":
      playing.requestControl(wantedSlot(args[0]));
      break;
    case "releaseControl":
      playing.releaseControl();
      break;
    case "stop":
      if (!visit?.mayStop) throw new ApiError(403, "not_allowed", "This visit may not stop the game.");
      await stopped(playing);
      break;
    case "state":
      break;
  }
  return { state: pageState(), role, muted };
}

/** @param {unknown} slot @returns {number | undefined} 0-based; any, without one */
function wantedSlot(slot) {
  if (slot === undefined || slot === null) return undefined;
  if (typeof slot === "number" && Number.isInteger(slot) && slot >= 1 && slot <= 4) return slot - 1;
  throw new ApiError(400, "invalid_request", "There are slots 1 to 4.");
}

/** @param {Player} playing */
async function stopped(playing) {
  const why = await playing.stopSession();
  if (why) throw why;
}

/** @param {KeyboardEvent} event without the bar there is nothing in the frame to go to: Escape leads out of the game all the same */
function leaveBare(event) {
  if (event.code === "Escape" && !wish.controls && document.activeElement?.id === "stage") byId("stage").blur();
}
