// The menu: the bar over the picture, and the handle beside it. Opened on purpose only: by the handle, by Escape, by
// Ctrl+Alt+M. Closed the same ways, and by a click back into the game, which the game gets as well.

import { sureToEnd } from "../lib/dialog.js";
import { canFullscreen, toggleFullscreen } from "./fullscreen.js";
import { USAGE, opensMenu } from "./keys.js";
import { showMuted } from "./theatre.js";

/**
 * @param {import("./theatre.js").Theatre} theatre
 * @param {object} wired
 * @param {import("./audio.js").Sound} wired.sound
 * @param {import("./input-sender.js").InputSender} wired.sender
 * @param {(shown: boolean) => void} wired.onStats
 * @param {(open: boolean) => void} wired.onMenu
 * @param {() => HTMLDialogElement} wired.onInvite
 * @param {() => void} wired.onFullscreen
 * @param {() => void} wired.onStop the person has said twice that the game is to end
 * @returns {{ begin(): void, toggle(): void, stop(): void }}
 */
export function wireControls(theatre, { sound, sender, onMenu, onStats, onInvite, onFullscreen, onStop }) {
  const { root, bar, stage, handle } = theatre;
  const listening = new AbortController();
  const options = { signal: listening.signal };

  const isOpen = () => !root.classList.contains("bar-away");
  const open = () => {
    root.classList.remove("bar-away");
    handle.setAttribute("aria-expanded", "true");
    onMenu(true);
  };
  const close = () => {
    // A focus left behind in the hidden bar would swallow the player's keys.
    if (bar.contains(document.activeElement) || document.activeElement === handle) stage.focus({ preventScroll: true });
    root.classList.add("bar-away");
    handle.setAttribute("aria-expanded", "false");
    onMenu(false);
  };
  const enter = () => {
    open();
    const first = /** @type {HTMLElement | null} */ (bar.querySelector("button:not([hidden])"));
    first?.focus();
  };
  const toggle = () => (isOpen() ? close() : enter());

  handle.addEventListener("click", (event) => {
    if (isOpen()) close();
    // By the keyboard (detail counts clicks): the focus follows.
    else if (event.detail === 0) enter();
    else open();
    if (event.detail > 0) stage.focus({ preventScroll: true });
  }, options);
  stage.addEventListener("pointerdown", close, options);
  // After a click of the mouse the keys belong to the game again.
  bar.addEventListener("click", (event) => {
    if (event.detail > 0 && !document.querySelector("dialog[open]") && document.activeElement !== theatre.textEntry) stage.focus({ preventScroll: true });
  }, options);
  // Arrow keys walk the toolbar; Escape and the menu's own shortcut go back to the game.
  bar.addEventListener("keydown", (event) => walk(event, bar, close), options);

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
  theatre.fullscreen.addEventListener("click", async () => {
    await toggleFullscreen(root);
    if (document.fullscreenElement) onFullscreen();
  }, options);
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
  theatre.stop.addEventListener("click", async () => {
    if (await sureToEnd(root)) onStop();
    else stage.focus({ preventScroll: true });
  }, options);
  theatre.escape.addEventListener("click", () => {
    sender.key(USAGE.escape, true);
    sender.key(USAGE.escape, false);
    stage.focus();
  }, options);
  theatre.keyboard.addEventListener("click", () => theatre.textEntry.focus(), options);

  return {
    /** There is a picture: it belongs to the game, unless somebody is using the bar by keyboard. */
    begin() {
      if (!bar.querySelector(":focus-visible")) close();
    },
    toggle,
    stop() {
      listening.abort();
      root.classList.remove("bar-away");
    },
  };
}

/**
 * @param {KeyboardEvent} event
 * @param {HTMLElement} bar
 * @param {() => void} close
 */
function walk(event, bar, close) {
  if (event.key === "Escape" || opensMenu(event)) {
    event.preventDefault();
    close();
    return;
  }
  const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
  if (step === 0 || event.target instanceof HTMLInputElement) return;
  const items = /** @type {HTMLElement[]} */ ([...bar.querySelectorAll("button, input")]).filter((item) => item.offsetParent !== null);
  const at = items.indexOf(/** @type {HTMLElement} */ (event.target));
  items[(at + step + items.length) % items.length]?.focus();
  event.preventDefault();
}
