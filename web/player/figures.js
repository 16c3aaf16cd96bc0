// Looks at the connection's numbers once a second: for the overlay, for the gateway, for embedders, and to find a picture that
// stands still though the link is up.

import { QualityMeter } from "./quality.js";
import { Reviver } from "./reviver.js";
import { StatsReader } from "./stats.js";
import { showStats } from "./stats-panel.js";

/** How often the numbers are looked at, in milliseconds. */
const LOOK_MS = 1_000;

/**
 * @typedef {object} Watched
 * @property {() => import("./connection.js").Connection | null} connection
 * @property {() => import("./signaling.js").Signaling | null} signaling
 * @property {import("./picture.js").Picture} picture
 * @property {import("./input-sender.js").InputSender} sender
 * @property {HTMLElement} panel the overlay
 * @property {() => number} clickedAt performance.now()
 */
/**
 * @typedef {object} FiguresEvents
 * @property {(verdict: import("./liveness.js").Verdict, cure: import("./reviver.js").Cure | null) => void} liveness while connected
 * @property {(statistics: object) => void} statistics once a second, while there is a picture
 * @property {(nowMs: number) => void} looked
 */

export class Figures {
  #watched;
  #events;
  #stats = new StatsReader();
  #quality = new QualityMeter();
  #reviver = new Reviver();
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #looking;

  /**
   * @param {Watched} watched
   * @param {FiguresEvents} events
   */
  constructor(watched, events) {
    this.#watched = watched;
    this.#events = events;
  }

  start() {
    this.#looking = setInterval(() => void this.look().then(() => this.#tellStatistics()), LOOK_MS);
  }

  /** The last report goes out. */
  stop() {
    clearInterval(this.#looking);
    this.#looking = undefined;
    this.tellLast();
  }

  /** A new path, or the page was hidden: what was counted before says nothing of it. */
  reset() {
    this.#reviver.reset();
  }

  /** The numbers right now. */
  read() {
    return this.#stats.look(this.#watched.connection()?.pc ?? null);
  }

  /** The last numbers that were read. */
  get last() {
    return this.#stats.last;
  }

  async look() {
    const { panel, picture, sender } = this.#watched;
    const stats = await this.read().catch(() => null);
    if (!this.#looking) return;
    this.#events.looked(performance.now());
    if (!panel.hidden) {
      showStats(panel, stats, { signalingMs: this.#watched.signaling()?.roundTripMs ?? Number.NaN, inputDropped: sender.dropped });
    }
    if (!stats || this.#watched.connection()?.state !== "connected" || picture.shown === 0) return;
    this.#tellQuality(stats, false);
    const cure = this.#reviver.feed({
      nowMs: performance.now(),
      packets: stats.packetsReceived,
      frames: stats.framesDecoded,
      shown: picture.shown,
      hidden: document.hidden,
    });
    this.#events.liveness(this.#reviver.verdict, cure);
  }

  /** A report of the time since the last one. */
  tellLast() {
    if (this.#stats.last && this.#watched.picture.shown > 0) this.#tellQuality(this.#stats.last, true);
  }

  #tellStatistics() {
    const stats = this.#stats.last;
    if (!stats || !this.#looking || this.#watched.picture.shown === 0) return;
    const { codec, width, height, kbps, fps, lossPercent, roundTripMs, jitterBufferMs, framesDecoded, framesDropped, freezeCount, frozenMs, transport } = stats;
    const roundTrip = Number.isFinite(roundTripMs) ? roundTripMs : null;
    this.#events.statistics({ codec, width, height, kbps, fps, lossPercent, roundTripMs: roundTrip, jitterBufferMs, framesDecoded, framesDropped, freezeCount, frozenMs, transport });
  }

  /** @param {import("./stats.js").Stats} stats @param {boolean} last */
  #tellQuality(stats, last) {
    const { at, bytesReceived, packetsReceived, packetsLost, frozenMs, roundTripMs, transport } = stats;
    const firstFrameMs = this.#watched.picture.firstFrameAt - this.#watched.clickedAt();
    const sums = { nowMs: at, bytes: bytesReceived, packets: packetsReceived, lost: packetsLost, frozenMs, firstFrameMs, roundTripMs, transport };
    const report = this.#quality.feed(sums, last);
    if (report) this.#watched.signaling()?.quality(report);
  }
}
