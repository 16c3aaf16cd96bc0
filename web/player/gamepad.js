// Gamepads in the standard mapping: polled once a display frame, only while there are any and the page is seen.
// Snapshots go over the channel that may lose them, so the last one is said again until it must have arrived.

import { padActive, padState, samePad } from "./pad-state.js";

/** How often an unchanged snapshot is repeated, and for how long after a change, in milliseconds. */
const REPEAT_MS = 100;
const REPEAT_FOR_MS = 500;

/** @typedef {{ last?: import("./input.js").PadState, changedAt: number, sentAt: number }} Known */

export class Gamepads {
  /** @type {Map<number, Known>} index of the browser's pad to what was sent */
  #known = new Map();
  #polling = false;
  #stop = new AbortController();

  /**
   * @param {import("./input-sender.js").InputSender} sender
   * @param {() => number} pads how many the game reads
   */
  constructor(sender, pads) {
    this.sender = sender;
    this.pads = pads;
    if (!Gamepads.supported) return;
    const { signal } = this.#stop;
    window.addEventListener("gamepadconnected", () => this.look(), { signal });
    window.addEventListener("gamepaddisconnected", () => this.look(), { signal });
    document.addEventListener("visibilitychange", () => this.look(), { signal });
    this.look();
  }

  static get supported() {
    return typeof navigator.getGamepads === "function" && isSecureContext;
  }

  /** Tells the game again which pads there are: after a reconnect. */
  announce() {
    for (const pad of this.#known.keys()) this.sender.padPresence(pad, true);
    for (const known of this.#known.values()) known.last = undefined;
  }

  /** Starts polling if there is a pad to poll. */
  look() {
    if (this.#polling || document.hidden || this.#stop.signal.aborted) return;
    this.#poll();
  }

  /** @param {{ pad: number, strong: number, weak: number, durationMs: number }} rumble */
  rumble({ pad, strong, weak, durationMs }) {
    const actuator = this.#pads()[pad]?.vibrationActuator;
    actuator
      ?.playEffect?.("dual-rumble", {
        duration: durationMs,
        strongMagnitude: strong / 65535,
        weakMagnitude: weak / 65535,
      })
      .catch(() => {});
  }

  stop() {
    this.#stop.abort();
  }

  #pads() {
    if (!Gamepads.supported) return [];
    return navigator.getGamepads().filter((pad) => pad !== null && pad.connected).slice(0, Math.max(0, this.pads()));
  }

  #poll() {
    const pads = this.#pads();
    this.#presence(pads.length);
    this.#polling = pads.length > 0 && !document.hidden && !this.#stop.signal.aborted;
    if (!this.#polling) return;
    const now = performance.now();
    pads.forEach((gamepad, pad) => gamepad && this.#send(pad, gamepad, now));
    requestAnimationFrame(() => this.#poll());
  }

  /** @param {number} count */
  #presence(count) {
    for (let pad = 0; pad < count; pad += 1) {
      if (this.#known.has(pad)) continue;
      this.#known.set(pad, { changedAt: 0, sentAt: 0 });
      this.sender.padPresence(pad, true);
    }
    for (const pad of [...this.#known.keys()].filter((index) => index >= count)) {
      this.#known.delete(pad);
      this.sender.padPresence(pad, false);
    }
  }

  /** @param {number} pad @param {Gamepad} gamepad @param {number} now */
  #send(pad, gamepad, now) {
    const known = this.#known.get(pad);
    if (!known) return;
    const state = padState(pad, gamepad);
    const changed = !samePad(known.last, state);
    if (changed) known.changedAt = now;
    const again = now - known.sentAt >= REPEAT_MS && (padActive(state) || now - known.changedAt <= REPEAT_FOR_MS);
    if (!changed && !again) return;
    known.last = state;
    known.sentAt = now;
    // A held stick keeps the session alive only when it moves: a pad lying on its side is nobody playing.
    const activity = this.sender.onActivity;
    if (!changed) this.sender.onActivity = () => {};
    this.sender.pad(state, padActive(state));
    this.sender.onActivity = activity;
  }
}
