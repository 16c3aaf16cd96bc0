// The elements a game is shown in: the picture with its poster and last frame, the stage that takes input, the strip beside it
// with the menu's handle, the bar, the pad, the overlays. Builds and finds, decides nothing.
//
// Invariant: while somebody plays, nothing in `#frame` but the stage takes clicks.

import { h, icon } from "../lib/dom.js";

const ICONS = {
  sound: "M4 9v6h4l5 4V5L8 9H4zm12-1a5 5 0 0 1 0 8m2.5-11a9 9 0 0 1 0 14",
  silent: "M4 9v6h4l5 4V5L8 9H4zm12 1 5 5m0-5-5 5",
  full: "M4 9V4h5M20 9V4h-5M4 15v5h5m11-5v5h-5",
  stats: "M4 19h16M7 16v-5m5 5V6m5 10v-8",
  invite: "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zm-6 9c0-3.5 2.5-6 6-6s6 2.5 6 6m3-12v6m-3-3h6",
  keyboard: "M3 7h18v10H3zM7 11h.01M11 11h.01M15 11h.01M17 11h.01M8 14h8",
  stop: "M7 7h10v10H7z",
  menu: "M5 12h.01M12 12h.01M19 12h.01",
};

/**
 * @typedef {object} Theatre
 * @property {HTMLElement} root
 * @property {HTMLElement} stage
 * @property {HTMLVideoElement} video
 * @property {HTMLAudioElement} audio
 * @property {HTMLCanvasElement} still
 * @property {HTMLImageElement} poster
 * @property {HTMLElement} curtain what is being done before the picture
 * @property {HTMLElement} status
 * @property {HTMLProgressElement} progress
 * @property {HTMLElement} sourceFault why there is no picture, where its source is the cause
 * @property {HTMLElement} error
 * @property {HTMLElement} trouble
 * @property {HTMLElement} banner
 * @property {HTMLElement} toast
 * @property {HTMLElement} badge
 * @property {HTMLElement} bar
 * @property {HTMLElement} title
 * @property {HTMLButtonElement} people who plays and how many watch; shows `controlPanel`
 * @property {HTMLElement} controlPanel
 * @property {HTMLButtonElement} ask
 * @property {HTMLButtonElement} giveBack
 * @property {HTMLButtonElement} takeBack
 * @property {HTMLElement} hotSeat the time that is left of one
 * @property {HTMLElement} edge the strip beside the picture
 * @property {HTMLButtonElement} handle in it: opens and closes the bar
 * @property {HTMLButtonElement} mute
 * @property {HTMLInputElement} volume
 * @property {HTMLButtonElement} fullscreen
 * @property {HTMLButtonElement} statsButton
 * @property {HTMLButtonElement} invite
 * @property {HTMLButtonElement} escape
 * @property {HTMLButtonElement} keyboard
 * @property {HTMLInputElement} textEntry
 * @property {HTMLButtonElement} stop
 * @property {HTMLElement} stats
 * @property {HTMLElement} pad
 * @property {HTMLElement} soundHint
 */

/**
 * @param {string} id
 * @param {string} label
 * @param {string} path
 * @param {string} [text] shown beside the icon
 */
function tool(id, label, path, text) {
  return h(
    "button",
    { type: "button", id, class: "tool", "aria-label": text ? null : label, title: label },
    icon(path),
    text ? h("span", { text }) : null,
  );
}

/** @returns {Theatre} */
export function buildTheatre() {
  const video = h("video", { id: "video", playsinline: true, autoplay: true, muted: true, tabindex: "-1", "aria-hidden": "true" });
  video.muted = true;
  video.disablePictureInPicture = true;
  const audio = h("audio", { id: "audio", autoplay: true });
  const still = h("canvas", { id: "still", hidden: true, "aria-hidden": "true" });
  const poster = h("img", { id: "poster", alt: "", hidden: true });
  const stage = h(
    "div",
    { id: "stage", tabindex: "0", role: "application", "aria-label": "The game. Keys go to it; Escape opens the menu.", "aria-roledescription": "stage" },
    video,
    still,
    poster,
  );
  const status = h("p", { id: "status", role: "status", "aria-live": "polite" });
  const progress = h("progress", { id: "progress", max: "100", "aria-label": "Progress" });
  const sourceFault = h("p", { id: "source-fault", role: "status", hidden: true });
  const curtain = h("div", { id: "curtain" }, status, progress, sourceFault);
  const error = h("p", { id: "error", role: "alert", hidden: true });
  const trouble = h("section", { id: "trouble", class: "panel", role: "alert", "aria-labelledby": "trouble-title", hidden: true });
  const banner = h("p", { id: "banner", role: "status", hidden: true });
  const toast = h("p", { id: "toast", role: "status", "aria-live": "polite" });
  const badge = h("p", { id: "badge", class: "badge", hidden: true, text: "Watching" });
  // Any click in the page turns the sound on, so that this needs none of its own.
  const soundHint = h("p", { id: "sound-hint", class: "hint", role: "status", hidden: true }, icon(ICONS.silent), `${matchMedia("(pointer: coarse)").matches ? "Tap" : "Click"} for sound`);
  const stats = h("section", { id: "stats-panel", "aria-label": "Statistics", hidden: true });
  const pad = h("section", { id: "pad", "aria-label": "On-screen controls", hidden: true });
  const title = h("h1", { id: "title" });
  const mute = tool("mute", "Mute", ICONS.sound);
  const volume = h("input", { type: "range", id: "volume", min: "0", max: "1", step: "0.05", "aria-label": "Volume" });
  const fullscreen = tool("fullscreen", "Full screen", ICONS.full);
  const statsButton = tool("stats", "Statistics", ICONS.stats);
  const invite = tool("invite", "Invite someone", ICONS.invite, "Invite");
  const escape = h("button", { type: "button", id: "escape", class: "tool", title: "Send Escape to the game", text: "Esc" });
  const keyboard = tool("keyboard", "Write text", ICONS.keyboard);
  const stop = tool("stop", "Save and end the game", ICONS.stop, "End game");
  const textEntry = h("input", {
    id: "text-entry", type: "text", "aria-label": "Text for the game", autocomplete: "off", autocapitalize: "off", spellcheck: "false", tabindex: "-1",
  });
  const people = h("button", { type: "button", id: "people", class: "tool", title: "Show who is playing", hidden: true, "aria-expanded": "false", "aria-controls": "control-panel" });
  const action = (/** @type {string} */ id, /** @type {string} */ text) => h("button", { type: "button", id, class: "tool action", hidden: true, text });
  const ask = action("ask", "Ask to play");
  const giveBack = action("give-back", "Give back");
  const takeBack = action("take-back", "Take back");
  const controlPanel = h("section", { id: "control-panel", class: "panel", "aria-label": "Players", hidden: true });
  const hotSeat = h("p", { id: "hot-seat", role: "timer", hidden: true });
  const handle = tool("handle", "Menu (Esc)", ICONS.menu);
  handle.setAttribute("aria-controls", "bar");
  handle.setAttribute("aria-expanded", "true");
  const edge = h("div", { id: "edge" }, handle);
  const tools = h("div", { class: "tools" }, mute, volume, escape, keyboard, statsButton, fullscreen, invite, stop);
  const bar = h("div", { id: "bar", role: "toolbar", "aria-label": "Game controls" }, title, badge, people, ask, giveBack, takeBack, tools);
  const root = h(
    "section",
    { id: "theatre", "aria-label": "Stage" },
    h("div", { id: "frame" }, stage, curtain, error, trouble, banner, hotSeat, soundHint, stats, toast, textEntry),
    edge,
    bar,
    controlPanel,
    pad,
    audio,
  );
  return {
    root, stage, video, audio, still, poster, curtain, status, progress, sourceFault, error, trouble, banner, toast, badge, bar, title,
    edge, handle, mute, volume, fullscreen, statsButton, invite, escape, keyboard, textEntry, stop, stats, pad, soundHint,
    people, controlPanel, ask, giveBack, takeBack, hotSeat,
  };
}

/** @param {HTMLButtonElement} button @param {boolean} muted */
export function showMuted(button, muted) {
  button.replaceChildren(icon(muted ? ICONS.silent : ICONS.sound));
  button.setAttribute("aria-label", muted ? "Sound on" : "Mute");
  button.setAttribute("title", muted ? "Sound on" : "Mute");
}
