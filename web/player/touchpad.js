// The on-screen pad for thumbs: a cross on the left when the game names directions, buttons on the right. Each control
// presses the key the game named. A thumb may slide from one direction to the next without lifting.

import { h } from "../lib/dom.js";
import { directions } from "./dpad.js";

/** @typedef {import("./signaling.js").TouchControl} TouchControl */

const ARROWS = { up: "▲", down: "▼", left: "◀", right: "▶" };

/**
 * @param {HTMLElement} place filled with the pad; emptied when the game has no controls
 * @param {TouchControl[]} controls
 * @param {import("./input-sender.js").InputSender} sender
 */
export function showTouchpad(place, controls, sender) {
  place.replaceChildren();
  const cross = controls.filter((control) => control.place in ARROWS);
  const buttons = controls.filter((control) => !(control.place in ARROWS));
  if (cross.length > 0) place.append(crossOf(cross, sender));
  if (buttons.length > 0) {
    place.append(h("div", { class: "pad-buttons" }, ...buttons.map((control) => buttonOf(control, sender))));
  }
  place.hidden = controls.length === 0;
}

/**
 * @param {TouchControl[]} controls
 * @param {import("./input-sender.js").InputSender} sender
 */
function crossOf(controls, sender) {
  const cross = h("div", { class: "pad-cross", role: "group", "aria-label": "Directions" });
  /** @type {Map<string, HTMLElement>} */
  const arms = new Map();
  for (const control of controls) {
    const glyph = ARROWS[/** @type {keyof typeof ARROWS} */ (control.place)];
    const arm = h("span", { class: `pad-arm pad-${control.place}`, "aria-hidden": "true", text: glyph });
    arms.set(control.place, arm);
    cross.append(arm);
  }
  /** @param {import("./dpad.js").Direction[]} wanted */
  const set = (wanted) => {
    for (const control of controls) {
      const down = wanted.includes(/** @type {any} */ (control.place));
      sender.key(control.key, down);
      arms.get(control.place)?.classList.toggle("pressed", down);
    }
  };
  /** @param {PointerEvent} event */
  const follow = (event) => {
    const box = cross.getBoundingClientRect();
    const half = box.width / 2;
    set(directions((event.clientX - box.left - half) / half, (event.clientY - box.top - half) / half));
  };
  hold(cross, follow, follow, () => set([]));
  return cross;
}

/**
 * @param {TouchControl} control
 * @param {import("./input-sender.js").InputSender} sender
 */
function buttonOf(control, sender) {
  const button = h("button", {
    type: "button",
    tabindex: "-1",
    class: `pad-button pad-${control.place}`,
    data: { key: control.key },
    text: control.label,
  });
  const press = (/** @type {boolean} */ down) => {
    sender.key(control.key, down);
    button.classList.toggle("pressed", down);
  };
  hold(button, () => press(true), () => {}, () => press(false));
  return button;
}

/**
 * @param {HTMLElement} element
 * @param {(event: PointerEvent) => void} down
 * @param {(event: PointerEvent) => void} move
 * @param {() => void} up
 */
function hold(element, down, move, up) {
  /** @type {number | null} */
  let owner = null;
  element.addEventListener("pointerdown", (event) => {
    if (owner !== null) return;
    event.preventDefault();
    owner = event.pointerId;
    element.setPointerCapture(event.pointerId);
    navigator.vibrate?.(8);
    down(event);
  });
  element.addEventListener("pointermove", (event) => event.pointerId === owner && move(event));
  for (const end of /** @type {const} */ (["pointerup", "pointercancel", "lostpointercapture"])) {
    element.addEventListener(end, (event) => {
      if (event.pointerId !== owner) return;
      owner = null;
      up();
    });
  }
  // The focus stays where it was, or the stage would let go of everything.
  element.addEventListener("mousedown", (event) => event.preventDefault());
  element.addEventListener("contextmenu", (event) => event.preventDefault());
}
