// Mouse, pen and touch on the stage. Absolute games get positions in the picture, relative ones movements under
// pointer lock (or by a finger's drag), games without a pointer get touches only.

import { TOUCH } from "./input.js";
import { pictureBox, toPicture } from "./letterbox.js";
import { WheelScale } from "./wheel.js";

/** Contacts the wire has room for. */
const MAX_CONTACTS = 10;

/**
 * @typedef {object} PointerOptions
 * @property {HTMLElement} stage
 * @property {HTMLVideoElement} video
 * @property {import("./input-sender.js").InputSender} sender
 * @property {() => import("./signaling.js").GameHints | null} game
 */

/**
 * @param {PointerOptions} options
 * @returns {() => void} stops listening
 */
export function listenPointer({ stage, video, sender, game }) {
  const stop = new AbortController();
  const passive = { signal: stop.signal };
  const active = { signal: stop.signal, passive: false };
  const wheel = new WheelScale();
  /** @type {Map<number, { contact: number, x: number, y: number }>} pointer id to contact and last place */
  const contacts = new Map();
  let restX = 0;
  let restY = 0;

  const picture = () =>
    pictureBox(video.getBoundingClientRect(), video.videoWidth || game()?.width || 16, video.videoHeight || game()?.height || 9);
  /** @param {PointerEvent} event */
  const place = (event) => {
    // A mouse names the pixel it is on by that pixel's corner; its middle is what lies in one pixel of the game only.
    const half = event.pointerType === "mouse" ? 0.5 / (window.devicePixelRatio || 1) : 0;
    return toPicture(picture(), event.clientX + half, event.clientY + half);
  };
  const mode = () => game()?.pointer ?? "absolute";
  const locked = () => document.pointerLockElement === stage;

  /** @param {number} movementX @param {number} movementY */
  const relative = (movementX, movementY) => {
    const box = picture();
    restX += movementX * ((video.videoWidth || box.width) / box.width);
    restY += movementY * ((video.videoHeight || box.height) / box.height);
    const dx = Math.trunc(restX);
    const dy = Math.trunc(restY);
    if ((dx !== 0 || dy !== 0) && sender.delta(dx, dy)) {
      restX -= dx;
      restY -= dy;
    }
  };

  /** @param {PointerEvent} event */
  const down = (event) => {
    stage.focus({ preventScroll: true });
    const at = place(event);
    if (event.pointerType === "touch") {
      const contact = freeContact(contacts);
      if (!at.inside || contact === null) return;
      event.preventDefault();
      stage.setPointerCapture(event.pointerId);
      contacts.set(event.pointerId, { contact, x: event.clientX, y: event.clientY });
      if (mode() !== "relative") sender.touch(contact, TOUCH.start, at.x, at.y);
      return;
    }
    if (mode() === "none" || event.button > 4) return;
    event.preventDefault();
    if (mode() === "relative" && !locked()) {
      lock(stage);
      return;
    }
    if (!at.inside && !locked()) return;
    if (!locked()) stage.setPointerCapture(event.pointerId);
    sender.button(event.button, true, at.x, at.y);
  };

  /** @param {PointerEvent} event */
  const move = (event) => {
    if (event.pointerType === "touch") {
      const finger = contacts.get(event.pointerId);
      if (!finger) return;
      if (mode() === "relative") relative(event.clientX - finger.x, event.clientY - finger.y);
      else {
        const at = place(event);
        sender.touch(finger.contact, TOUCH.move, at.x, at.y);
      }
      finger.x = event.clientX;
      finger.y = event.clientY;
      return;
    }
    // With a button down, another button's press and release come as moves.
    if (event.button >= 0) change(event);
    if (mode() === "relative") {
      if (locked()) relative(event.movementX, event.movementY);
      return;
    }
    if (mode() === "none") return;
    const at = place(event);
    if (at.inside || event.buttons !== 0) sender.move(at.x, at.y);
  };

  /** @param {PointerEvent} event */
  const change = (event) => {
    const bit = [1, 4, 2, 8, 16][event.button] ?? 0;
    if ((event.buttons & bit) !== 0) down(event);
    else up(event);
  };

  /** @param {PointerEvent} event */
  const up = (event) => {
    const at = place(event);
    if (event.pointerType === "touch") {
      const finger = contacts.get(event.pointerId);
      if (!finger) return;
      contacts.delete(event.pointerId);
      const phase = event.type === "pointercancel" ? TOUCH.cancel : TOUCH.end;
      if (mode() !== "relative") sender.touch(finger.contact, phase, at.x, at.y);
      return;
    }
    if (event.button >= 0 && event.button <= 4) sender.button(event.button, false, at.x, at.y);
  };

  stage.addEventListener("pointerdown", down, active);
  stage.addEventListener("pointermove", move, passive);
  stage.addEventListener("pointerup", up, passive);
  stage.addEventListener("pointercancel", up, passive);
  stage.addEventListener(
    "wheel",
    (event) => {
      // Zooming the page by Ctrl and wheel stays with the browser.
      if (event.ctrlKey || mode() === "none") return;
      event.preventDefault();
      const turned = wheel.take(event);
      if (turned) sender.wheel(turned.dx, turned.dy);
    },
    active,
  );
  stage.addEventListener("contextmenu", (event) => event.preventDefault(), active);
  document.addEventListener("pointerlockchange", () => !locked() && sender.releaseAll(), passive);
  return () => {
    stop.abort();
    if (locked()) document.exitPointerLock();
  };
}

/** @param {HTMLElement} stage */
function lock(stage) {
  if (typeof stage.requestPointerLock !== "function") return;
  // Raw movement where the platform has it, accelerated where not.
  const asked = /** @type {any} */ (stage).requestPointerLock({ unadjustedMovement: true });
  asked?.catch?.(() => /** @type {any} */ (stage).requestPointerLock()?.catch?.(() => {}));
}

/** @param {Map<number, { contact: number }>} contacts */
function freeContact(contacts) {
  const taken = new Set([...contacts.values()].map(({ contact }) => contact));
  for (let contact = 0; contact < MAX_CONTACTS; contact += 1) if (!taken.has(contact)) return contact;
  return null;
}
