// The control bar: shown at the start, near the upper edge, while it has the focus, and by its handle on touch
// screens; otherwise out of the way.

import { canFullscreen, toggleFullscreen } from "./fullscreen.js";
import { USAGE } from "./keys.js";
import { showMuted } from "./theatre.js";

/** How long the bar stays without need, in milliseconds. */
const LINGER_MS = 3_000;
/** A mouse this close to the upper edge brings it, in CSS pixels. */
const EDGE_PX = 72;

/**
 * @param {import("./theatre.js").Theatre} theatre
 * @param {object} wired
 * @param {import("./audio.js").Sound} wired.sound
 * @param {import("./input-sender.js").InputSender} wired.sender
 * @param {(shown: boolean) => void} wired.onStats
 * @param {() => HTMLDialogElement} wired.onInvite
 * @param {() => void} wired.onStop
 * @returns {{ show(): void, enter(): void, stop(): void }}
 */
export function wireControls(theatre, { sound, sender, onStats, onInvite, onStop }) {
  const { root, bar, stage } = theatre;
  const listening = new AbortController();
  const options = { signal: listening.signal };
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  const hide = () => {
    if (bar.matches(":focus-within") && bar.querySelector(":focus-visible")) return;
    if (bar.matches(":hover")) {
      timer = setTimeout(hide, LINGER_MS);
      return;
    }
    // A focus left behind in the hidden bar would swallow the player's keys.
    if (bar.contains(document.activeElement)) stage.focus({ preventScroll: true });
    root.classList.add("bar-away");
  };
  const show = () => {
    root.classList.remove("bar-away");
    clearTimeout(timer);
    timer = setTimeout(hide, LINGER_MS);
  };

  root.addEventListener("pointermove", (event) => event.pointerType === "mouse" && event.clientY < EDGE_PX && show(), options);
  bar.addEventListener("focusin", show, options);
  bar.addEventListener("focusout", () => (timer = setTimeout(hide, LINGER_MS)), options);
  theatre.handle.addEventListener("click", () => (root.classList.contains("bar-away") ? show() : hide()), options);
  // After a click of the mouse (detail counts clicks, 0 is the keyboard) the keys belong to the game again.
  bar.addEventListener("click", (event) => {
    if (event.detail > 0 && !document.querySelector("dialog[open]") && document.activeElement !== theatre.textEntry) stage.focus({ preventScroll: true });
  }, options);
  // Arrow keys walk the toolbar, Escape goes back to the game.
  bar.addEventListener("keydown", (event) => walk(event, bar, stage), options);

  theatre.mute.addEventListener("click", () => {
    sound.mute(!sound.muted);
    showMuted(theatre.mute, sound.muted);
  }, options);
  theatre.volume.value = String(sound.volume);
  theatre.volume.addEventListener("input", () => {
    sound.setVolume(Number(theatre.volume.value));
    showMuted(theatre.mute, sound.muted);
  }, options);
  theatre.fullscreen.hidden = !canFullscreen(root);
  theatre.fullscreen.addEventListener("click", () => void toggleFullscreen(root), options);
  theatre.statsButton.setAttribute("aria-pressed", "false");
  theatre.statsButton.setAttribute("aria-controls", "stats-panel");
  theatre.statsButton.addEventListener("click", () => {
    const shown = theatre.stats.hidden;
    theatre.stats.hidden = !shown;
    theatre.statsButton.setAttribute("aria-pressed", String(shown));
    onStats(shown);
  }, options);
  theatre.invite.addEventListener("click", () => {
    onInvite().addEventListener("close", () => stage.focus({ preventScroll: true }));
  }, options);
  theatre.stop.addEventListener("click", onStop, options);
  theatre.escape.addEventListener("click", () => {
    sender.key(USAGE.escape, true);
    sender.key(USAGE.escape, false);
    stage.focus();
  }, options);
  theatre.keyboard.addEventListener("click", () => theatre.textEntry.focus(), options);
  theatre.soundHint.addEventListener("click", () => sound.unlock(), options);

  return {
    show,
    enter() {
      show();
      const first = /** @type {HTMLElement | null} */ (bar.querySelector("button:not([hidden])"));
      first?.focus();
    },
    stop() {
      clearTimeout(timer);
      listening.abort();
      root.classList.remove("bar-away");
    },
  };
}

/**
 * @param {KeyboardEvent} event
 * @param {HTMLElement} bar
 * @param {HTMLElement} stage
 */
function walk(event, bar, stage) {
  if (event.key === "Escape") {
    event.preventDefault();
    stage.focus();
    return;
  }
  const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
  if (step === 0 || event.target instanceof HTMLInputElement) return;
  const items = /** @type {HTMLElement[]} */ ([...bar.querySelectorAll("button, input")]).filter((item) => item.offsetParent !== null);
  const at = items.indexOf(/** @type {HTMLElement} */ (event.target));
  items[(at + step + items.length) % items.length]?.focus();
  event.preventDefault();
}
