// KeyboardEvent.code to USB HID usage, page 0x07 (HID Usage Tables 1.5, section 10). The physical key, whatever the
// layout prints on it. Pure.

/** @type {Map<string, number>} */
export const HID_USAGE = new Map();

const run = (/** @type {number} */ first, /** @type {string[]} */ codes) =>
  codes.forEach((code, index) => HID_USAGE.set(code, first + index));

run(0x04, [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ"].map((letter) => `Key${letter}`));
run(0x1e, [..."1234567890"].map((digit) => `Digit${digit}`));
run(0x28, ["Enter", "Escape", "Backspace", "Tab", "Space", "Minus", "Equal", "BracketLeft", "BracketRight", "Backslash"]);
run(0x33, ["Semicolon", "Quote", "Backquote", "Comma", "Period", "Slash", "CapsLock"]);
run(0x3a, Array.from({ length: 12 }, (_, index) => `F${index + 1}`));
run(0x46, ["PrintScreen", "ScrollLock", "Pause", "Insert", "Home", "PageUp", "Delete", "End", "PageDown"]);
run(0x4f, ["ArrowRight", "ArrowLeft", "ArrowDown", "ArrowUp", "NumLock"]);
run(0x54, ["NumpadDivide", "NumpadMultiply", "NumpadSubtract", "NumpadAdd", "NumpadEnter"]);
run(0x59, [..."1234567890"].map((digit) => `Numpad${digit}`));
run(0x63, ["NumpadDecimal", "IntlBackslash", "ContextMenu"]);
run(0x67, ["NumpadEqual", ...Array.from({ length: 12 }, (_, index) => `F${index + 13}`)]);
run(0x85, ["NumpadComma"]);
run(0x87, ["IntlRo", "KanaMode", "IntlYen", "Convert", "NonConvert"]);
run(0x90, ["Lang1", "Lang2", "Lang3", "Lang4", "Lang5"]);
run(0xe0, ["ControlLeft", "ShiftLeft", "AltLeft", "MetaLeft", "ControlRight", "ShiftRight", "AltRight", "MetaRight"]);

/** Usages the page itself needs. */
export const USAGE = Object.freeze({ enter: 0x28, escape: 0x29, backspace: 0x2a });

/** Keys without a code, as some on-screen keyboards send them. */
const BY_KEY = new Map([
  ["Enter", "Enter"],
  ["Backspace", "Backspace"],
  ["Tab", "Tab"],
  [" ", "Space"],
  ["ArrowUp", "ArrowUp"],
  ["ArrowDown", "ArrowDown"],
  ["ArrowLeft", "ArrowLeft"],
  ["ArrowRight", "ArrowRight"],
]);

/**
 * @param {{ code: string, key: string }} event
 * @returns {number | undefined}
 */
export function usageOf(event) {
  return HID_USAGE.get(event.code) ?? HID_USAGE.get(BY_KEY.get(event.key) ?? "");
}

/**
 * Combinations that stay with the browser: leaving, reloading, its tools and its zoom.
 *
 * @param {{ code: string, ctrlKey: boolean, metaKey: boolean, shiftKey: boolean, altKey: boolean }} event
 */
export function belongsToBrowser(event) {
  if (["F5", "F11", "F12"].includes(event.code)) return true;
  if (event.metaKey && !event.code.startsWith("Meta")) return true;
  if (event.ctrlKey && event.shiftKey) return ["KeyI", "KeyJ", "KeyC", "KeyR", "KeyT", "KeyN"].includes(event.code);
  if (event.ctrlKey) return ["KeyR", "KeyT", "KeyW", "KeyN", "KeyL", "Digit0", "Minus", "Equal"].includes(event.code);
  return event.altKey && ["ArrowLeft", "ArrowRight", "F4", "Home"].includes(event.code);
}

/**
 * The menu's shortcut. With AltGr the same keys write a letter.
 *
 * @param {KeyboardEvent} event
 */
export function opensMenu(event) {
  return event.code === "KeyM" && event.ctrlKey && event.altKey && !event.metaKey && !event.getModifierState("AltGraph");
}
