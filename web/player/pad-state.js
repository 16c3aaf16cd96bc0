// A Gamepad of the browser as the snapshot that goes over the wire. Pure.

/** Axes closer to the middle than this are in the middle. */
const DEAD = 0.08;

/**
 * @param {number} pad
 * @param {{ buttons: readonly { pressed: boolean, value: number }[], axes: readonly number[] }} gamepad
 * @returns {import("./input.js").PadState}
 */
export function padState(pad, gamepad) {
  let buttons = 0;
  gamepad.buttons.slice(0, 32).forEach((button, index) => {
    if (button.pressed) buttons |= 1 << index;
  });
  const trigger = (/** @type {number} */ index) => Math.round((gamepad.buttons[index]?.value ?? 0) * 255);
  return {
    pad,
    buttons: buttons >>> 0,
    axes: [0, 1, 2, 3].map((index) => axis(gamepad.axes[index] ?? 0)),
    triggers: [trigger(6), trigger(7)],
  };
}

/** @param {number} value */
function axis(value) {
  if (!Number.isFinite(value) || Math.abs(value) < DEAD) return 0;
  return Math.round(Math.max(-1, Math.min(1, value)) * 32767);
}

/**
 * @param {import("./input.js").PadState | undefined} a
 * @param {import("./input.js").PadState} b
 */
export function samePad(a, b) {
  return a !== undefined && key(a) === key(b);
}

/** @param {import("./input.js").PadState} state */
export function padActive(state) {
  return state.buttons !== 0 || state.axes.some((value) => value !== 0) || state.triggers.some((value) => value > 0);
}

/** @param {import("./input.js").PadState} state */
function key(state) {
  return [state.buttons, ...state.axes, ...state.triggers].join();
}
