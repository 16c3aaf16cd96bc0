// Asks for a session's status: at once and every 2 s until it runs or has ended (contract 1.3, rule 5), and again
// while media or signaling is down. A question without an answer is reported, not thrown.

/** @typedef {import("../lib/api.js").SessionStatus} SessionStatus */

/** Between two questions, in milliseconds. */
export const POLL_EVERY_MS = 2_000;

/** @param {string} status */
export function isEnded(status) {
  return status === "stopped" || status === "error";
}

export class SessionPoller {
  #get;
  #onStatus;
  #onError;
  #timers;
  /** @type {unknown} */
  #timer = null;
  #running = false;
  #asking = false;
  #untilEnd = false;

  /**
   * @param {object} options
   * @param {() => Promise<SessionStatus>} options.get
   * @param {(status: SessionStatus) => void} options.onStatus
   * @param {(error: unknown) => boolean} options.onError true: go on asking
   * @param {{ set(action: () => void, ms: number): unknown, clear(timer: any): void }} [options.timers]
   */
  constructor({ get, onStatus, onError, timers = browserTimers }) {
    this.#get = get;
    this.#onStatus = onStatus;
    this.#onError = onError;
    this.#timers = timers;
  }

  /**
   * Starts asking, at once.
   *
   * @param {{ untilEnd?: boolean }} [options] `untilEnd`: `running` is no reason to stop asking
   */
  start({ untilEnd = false } = {}) {
    this.#untilEnd = untilEnd;
    if (this.#running) return;
    this.#running = true;
    // A question from before a stop is still under way: its answer serves.
    if (!this.#asking) void this.#ask();
  }

  /** Asks now instead of at the end of the wait. */
  hurry() {
    if (!this.#running || this.#asking) return;
    this.#timers.clear(this.#timer);
    void this.#ask();
  }

  stop() {
    this.#running = false;
    this.#timers.clear(this.#timer);
  }

  async #ask() {
    this.#asking = true;
    let goOn = true;
    try {
      const status = await this.#get().finally(() => (this.#asking = false));
      if (!this.#running) return;
      goOn = !isEnded(status.status) && (this.#untilEnd || status.status !== "running");
      if (!goOn) this.#running = false;
      this.#onStatus(status);
    } catch (error) {
      if (!this.#running) return;
      goOn = this.#onError(error);
      if (!goOn) this.#running = false;
    }
    if (goOn && this.#running) this.#timer = this.#timers.set(() => void this.#ask(), POLL_EVERY_MS);
  }
}

const browserTimers = {
  /** @param {() => void} action @param {number} ms */
  set: (action, ms) => setTimeout(action, ms),
  /** @param {any} timer */
  clear: (timer) => clearTimeout(timer),
};
