// Sends input and remembers what is held, so that nothing stays pressed: heartbeats while anything is held, one
// release-all when the person looks away. Whatever is sent while no channel is open is gone, and so is what was held.

import * as codec from "./input.js";

/** More unsent bytes than this on a channel and movements are left out, in bytes. Keys and buttons never are. */
const BACKLOG_BYTES = 16 * 1024;
/** A position that was not followed by another is said once more: the channel may have lost it. */
const REPEAT_MOVE_MS = 60;
/** After a press or release, so many heartbeats follow it, one every so many milliseconds: SCTP sends a lost packet again once
 * three later ones arrived (RFC 9260, 7.2.4), and else not before its timer ends, a quarter of a second later. */
const NUDGES = 3;
const NUDGE_MS = 15;

/** @typedef {{ readyState: string, bufferedAmount: number, send(data: any): void }} Channel */

export class InputSender {
  /** @type {{ reliable: Channel, pointer: Channel } | null} */
  #channels = null;
  /** @type {Set<string>} */
  #held = new Set();
  #moveSequence = 0;
  /** @type {number[]} */
  #padSequence = [];
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #beating;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #repeat;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #nudging;
  /** Frames left out because a channel was full. */
  dropped = 0;
  /** Frames sent. */
  sent = 0;

  /** @param {() => void} onActivity the person did something */
  constructor(onActivity) {
    this.onActivity = onActivity;
  }

  /** @param {{ reliable: Channel, pointer: Channel } | null} channels */
  bind(channels) {
    this.#channels = channels;
    clearTimeout(this.#nudging);
    this.#forget();
  }

  get open() {
    return this.#channels !== null;
  }

  get holding() {
    return this.#held.size > 0;
  }

  /**
   * @param {number} usage
   * @param {boolean} down
   */
  key(usage, down) {
    this.#press(`k${usage}`, down, () => codec.encodeKey(usage, down));
  }

  /** @param {number} usage */
  holdsKey(usage) {
    return this.#held.has(`k${usage}`);
  }

  /**
   * @param {number} button
   * @param {boolean} down
   * @param {number} x
   * @param {number} y
   */
  button(button, down, x, y) {
    this.#press(`b${button}`, down, () => codec.encodeButton(button, down, x, y));
  }

  /** @param {number} dx @param {number} dy */
  wheel(dx, dy) {
    this.onActivity();
    this.#reliable(codec.encodeWheel(dx, dy), true);
  }

  /** @param {string} text */
  text(text) {
    this.onActivity();
    for (const frame of codec.encodeText(text)) this.#reliable(frame, false);
  }

  /** @param {number} dx @param {number} dy @returns {boolean} false: left out, add it to the next */
  delta(dx, dy) {
    this.onActivity();
    return this.#reliable(codec.encodePointerDelta(dx, dy), true);
  }

  /** @param {number} x @param {number} y */
  move(x, y) {
    this.onActivity();
    const send = () => this.#unreliable(codec.encodePointerMove(this.#moveSequence++, x, y));
    send();
    clearTimeout(this.#repeat);
    this.#repeat = setTimeout(send, REPEAT_MOVE_MS);
  }

  /**
   * @param {number} contact
   * @param {number} phase
   * @param {number} x
   * @param {number} y
   */
  touch(contact, phase, x, y) {
    const frame = () => codec.encodeTouch(contact, phase, x, y);
    if (phase === codec.TOUCH.move) {
      if (!this.#held.has(`t${contact}`)) return;
      this.onActivity();
      this.#reliable(frame(), true);
      return;
    }
    this.#press(`t${contact}`, phase === codec.TOUCH.start, frame);
  }

  /** @param {number} pad @param {boolean} connected */
  padPresence(pad, connected) {
    this.#reliable(codec.encodePadPresence(pad, connected), false);
    if (!connected) this.#letGo(`p${pad}`);
  }

  /**
   * @param {codec.PadState} state
   * @param {boolean} active it differs from a pad nobody touches
   */
  pad(state, active) {
    if (!this.open) return;
    if (active) {
      this.onActivity();
      this.#hold(`p${state.pad}`);
    } else this.#letGo(`p${state.pad}`);
    const sequence = this.#padSequence[state.pad] ?? 0;
    this.#padSequence[state.pad] = (sequence + 1) & 0xffff;
    this.#unreliable(codec.encodePad(sequence, state));
  }

  /** Lets go of everything, if anything is held. */
  releaseAll() {
    if (!this.holding) return;
    this.#forget();
    this.#reliable(codec.encodeReleaseAll(), false);
  }

  /** @param {string} what @param {boolean} down @param {() => Uint8Array} frame */
  #press(what, down, frame) {
    if (this.#held.has(what) === down) return;
    if (down) this.onActivity();
    if (!this.#reliable(frame(), false)) return;
    if (down) this.#hold(what);
    else this.#letGo(what);
    this.#nudge(NUDGES);
  }

  /** @param {number} left */
  #nudge(left) {
    clearTimeout(this.#nudging);
    if (left === 0) return;
    this.#nudging = setTimeout(() => {
      this.#unreliable(codec.encodeHeartbeat());
      this.#nudge(left - 1);
    }, NUDGE_MS);
  }

  /** @param {string} what */
  #hold(what) {
    this.#held.add(what);
    this.#beating ??= setInterval(() => this.#reliable(codec.encodeHeartbeat(), false), codec.HEARTBEAT_MS);
  }

  /** @param {string} what */
  #letGo(what) {
    this.#held.delete(what);
    if (!this.holding) this.#forget();
  }

  #forget() {
    this.#held.clear();
    clearInterval(this.#beating);
    clearTimeout(this.#repeat);
    this.#beating = undefined;
  }

  /** @param {Uint8Array} frame @param {boolean} optional @returns {boolean} it was sent */
  #reliable(frame, optional) {
    return this.#put(this.#channels?.reliable, frame, optional);
  }

  /** @param {Uint8Array} frame */
  #unreliable(frame) {
    this.#put(this.#channels?.pointer, frame, true);
  }

  /** @param {Channel | undefined} channel @param {Uint8Array} frame @param {boolean} optional */
  #put(channel, frame, optional) {
    if (!channel || channel.readyState !== "open") return false;
    if (optional && channel.bufferedAmount > BACKLOG_BYTES) {
      this.dropped += 1;
      return false;
    }
    channel.send(frame);
    this.sent += 1;
    return true;
  }
}
