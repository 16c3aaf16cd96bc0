// The binary input frames of the data channels, as `signaling/src/input.rs` documents them: big-endian, the first byte
// is the kind. Pure.

/** Label of the reliable, ordered data channel. */
export const RELIABLE_LABEL = "input";
/** Label of the unordered data channel without retransmits. */
export const POINTER_LABEL = "pointer";
/** What holds anything repeats the heartbeat this often, in milliseconds. */
export const HEARTBEAT_MS = 250;
/** Longest text of one frame, in bytes of UTF-8. */
export const MAX_TEXT_BYTES = 256;

/** Values of the touch frame's phase. */
export const TOUCH = Object.freeze({ start: 0, move: 1, end: 2, cancel: 3 });

/**
 * @typedef {object} PadState
 * @property {number} pad 0-based
 * @property {number} buttons bit n is button n of the standard layout
 * @property {number[]} axes left x, left y, right x, right y; -32768..32767, right and down positive
 * @property {number[]} triggers buttons 6 and 7, 0-255
 */

/** @param {number} size @param {number} kind */
function frame(size, kind) {
  const view = new DataView(new ArrayBuffer(size));
  view.setUint8(0, kind);
  return view;
}

/** @param {number} value */
const i16 = (value) => Math.max(-32768, Math.min(32767, Math.trunc(value)));
/** @param {number} value */
const u16 = (value) => Math.max(0, Math.min(65535, Math.round(value)));
/** @param {DataView} view */
const done = (view) => new Uint8Array(view.buffer);

/** @param {number} usage USB HID usage, page 0x07 @param {boolean} down */
export function encodeKey(usage, down) {
  const view = frame(4, 0x01);
  view.setUint16(1, usage);
  view.setUint8(3, down ? 1 : 0);
  return done(view);
}

/** @param {number} button @param {boolean} down @param {number} x @param {number} y */
export function encodeButton(button, down, x, y) {
  const view = frame(7, 0x02);
  view.setUint8(1, button);
  view.setUint8(2, down ? 1 : 0);
  view.setUint16(3, u16(x));
  view.setUint16(5, u16(y));
  return done(view);
}

/** @param {number} dx 1/120 notches, right positive @param {number} dy down positive */
export function encodeWheel(dx, dy) {
  const view = frame(5, 0x03);
  view.setInt16(1, i16(dx));
  view.setInt16(3, i16(dy));
  return done(view);
}

/**
 * Text as one or more frames, cut between characters. Control characters other than line breaks and tabs, which the
 * gateway refuses, are left out.
 *
 * @param {string} text
 * @returns {Uint8Array[]}
 */
export function encodeText(text) {
  const encoder = new TextEncoder();
  /** @type {Uint8Array[]} */
  const frames = [];
  /** @type {number[]} */
  let bytes = [];
  const flush = () => {
    if (bytes.length > 0) frames.push(Uint8Array.of(0x04, ...bytes));
    bytes = [];
  };
  for (const character of text.replaceAll(/[^\P{Cc}\n\t]/gu, "")) {
    const next = encoder.encode(character);
    if (bytes.length + next.length > MAX_TEXT_BYTES) flush();
    bytes.push(...next);
  }
  flush();
  return frames;
}

/** @param {number} dx pixels of the picture @param {number} dy */
export function encodePointerDelta(dx, dy) {
  const view = frame(5, 0x05);
  view.setInt16(1, i16(dx));
  view.setInt16(3, i16(dy));
  return done(view);
}

export function encodeHeartbeat() {
  return Uint8Array.of(0x06);
}

export function encodeReleaseAll() {
  return Uint8Array.of(0x07);
}

/** @param {number} contact @param {number} phase one of TOUCH @param {number} x @param {number} y */
export function encodeTouch(contact, phase, x, y) {
  const view = frame(7, 0x08);
  view.setUint8(1, contact);
  view.setUint8(2, phase);
  view.setUint16(3, u16(x));
  view.setUint16(5, u16(y));
  return done(view);
}

/** @param {number} pad @param {boolean} connected */
export function encodePadPresence(pad, connected) {
  return Uint8Array.of(0x09, pad, connected ? 1 : 0);
}

/** @param {number} sequence @param {number} x @param {number} y */
export function encodePointerMove(sequence, x, y) {
  const view = frame(7, 0x81);
  view.setUint16(1, sequence & 0xffff);
  view.setUint16(3, u16(x));
  view.setUint16(5, u16(y));
  return done(view);
}

/** @param {number} sequence @param {PadState} state */
export function encodePad(sequence, state) {
  const view = frame(18, 0x82);
  view.setUint16(1, sequence & 0xffff);
  view.setUint8(3, state.pad);
  view.setUint32(4, state.buttons >>> 0);
  state.axes.slice(0, 4).forEach((axis, index) => view.setInt16(8 + index * 2, i16(axis)));
  state.triggers.slice(0, 2).forEach((trigger, index) => view.setUint8(16 + index, trigger & 0xff));
  return done(view);
}
