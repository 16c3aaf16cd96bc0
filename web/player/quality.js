// How the stream has been, told to the gateway every ten seconds and at the end: what was counted since the last report.
// Pure: fed with sums, told the time.

/** From one report to the next, in milliseconds. */
export const REPORT_MS = 10_000;
/** A longer one is refused: the page slept meanwhile, and nobody watched. */
const LONGEST_MS = 60_000;
const LONGEST_FIRST_FRAME_MS = 600_000;
const LONGEST_ROUND_TRIP_MS = 60_000;

/** @typedef {"udp" | "tcp" | "relay"} Transport */
/**
 * @typedef {object} Sums
 * @property {number} nowMs
 * @property {number} bytes picture and sound
 * @property {number} packets of the picture
 * @property {number} lost
 * @property {number} frozenMs
 * @property {number} firstFrameMs from setting out to the first picture; NaN while unknown
 * @property {number} roundTripMs NaN while unknown
 * @property {Transport | null} transport
 */
/**
 * @typedef {object} Report
 * @property {number} durationMs
 * @property {number} bytes
 * @property {number} packets
 * @property {number} lost
 * @property {number} frozenMs
 * @property {number} [firstFrameMs]
 * @property {number} [roundTripMs]
 * @property {Transport} [transport]
 */

export class QualityMeter {
  /** @type {Sums | null} */
  #before = null;
  #firstFrameTold = false;

  /**
   * @param {Sums} sums
   * @param {boolean} [last] a report now, however short
   * @returns {Report | null} `null`: not yet, or nothing was seen
   */
  feed(sums, last = false) {
    const before = this.#before;
    if (!before || sums.bytes < before.bytes || sums.packets < before.packets || sums.nowMs - before.nowMs > LONGEST_MS) {
      // The first look, another connection, or a long sleep.
      this.#before = sums;
      return null;
    }
    const durationMs = Math.round(sums.nowMs - before.nowMs);
    if (durationMs < (last ? 1 : REPORT_MS)) return null;
    this.#before = sums;
    const grown = (/** @type {"bytes" | "packets" | "lost" | "frozenMs"} */ name) => Math.max(0, Math.round(sums[name] - before[name]));
    /** @type {Report} */
    const report = {
      durationMs,
      bytes: grown("bytes"),
      packets: grown("packets"),
      lost: grown("lost"),
      frozenMs: Math.min(grown("frozenMs"), durationMs),
    };
    if (!this.#firstFrameTold && sums.firstFrameMs >= 0) {
      this.#firstFrameTold = true;
      report.firstFrameMs = Math.min(Math.round(sums.firstFrameMs), LONGEST_FIRST_FRAME_MS);
    }
    if (sums.roundTripMs >= 0) report.roundTripMs = Math.min(Math.round(sums.roundTripMs), LONGEST_ROUND_TRIP_MS);
    if (sums.transport) report.transport = sums.transport;
    return report;
  }
}
