// Tells a still picture from a frozen one. A source that has nothing new to show still sends a frame a second, so
// silence for seconds means a lost path, packets without frames a broken decode, frames without callbacks a stuck
// video element. Pure: fed once a second, told the time.

/** No packet at all for this long: the path is gone, in milliseconds. */
export const SILENT_MS = 6_000;
/** Packets but no decoded frame for this long. */
export const UNDECODED_MS = 4_000;
/** Decoded frames but none shown for this long. */
export const UNSHOWN_MS = 4_000;

/** @typedef {"ok" | "no-packets" | "not-decoding" | "not-shown"} Verdict */

/**
 * @typedef {object} Sample
 * @property {number} nowMs
 * @property {number} packets received so far
 * @property {number} frames decoded so far
 * @property {number} shown video frame callbacks so far
 * @property {boolean} hidden the page is not visible: browsers then neither decode nor call back reliably
 */

export class Liveness {
  /** @type {Sample | null} */
  #last = null;
  #packetsAt = 0;
  #framesAt = 0;
  #shownAt = 0;
  /** Packets counted when the last frame came: only packets since then can be undecoded. */
  #packetsAtFrame = 0;
  #framesAtShown = 0;

  /** Forgets everything: a new path, or the page was hidden. */
  reset() {
    this.#last = null;
  }

  /**
   * @param {Sample} sample
   * @returns {Verdict}
   */
  feed(sample) {
    const last = this.#last;
    this.#last = sample;
    const now = sample.nowMs;
    if (!last || sample.hidden || last.hidden || sample.packets < last.packets || sample.frames < last.frames) {
      this.#packetsAt = this.#framesAt = this.#shownAt = now;
      this.#packetsAtFrame = sample.packets;
      this.#framesAtShown = sample.frames;
      return "ok";
    }
    if (sample.packets > last.packets) this.#packetsAt = now;
    if (sample.frames > last.frames) {
      this.#framesAt = now;
      this.#packetsAtFrame = sample.packets;
    }
    if (sample.shown > last.shown) {
      this.#shownAt = now;
      this.#framesAtShown = sample.frames;
    }
    if (now - this.#packetsAt >= SILENT_MS) return "no-packets";
    if (sample.packets > this.#packetsAtFrame && now - this.#framesAt >= UNDECODED_MS) return "not-decoding";
    if (sample.frames > this.#framesAtShown + 1 && now - this.#shownAt >= UNSHOWN_MS) return "not-shown";
    return "ok";
  }
}
