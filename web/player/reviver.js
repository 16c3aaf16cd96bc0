// What to do about a picture that is frozen, and how often: liveness gives the verdict, this the cure, with longer and
// longer waits between two. Pure: fed once a second, told the time.

import { Liveness } from "./liveness.js";

/** Between two cures, in milliseconds; doubled each time. */
const FIRST_WAIT_MS = 5_000;
const LONGEST_WAIT_MS = 60_000;
/** Well for this long: the next cure need not wait. */
const WELL_MS = 60_000;

/** @typedef {"reattach" | "restart-ice" | "new-offer"} Cure */

export class Reviver {
  #liveness = new Liveness();
  #waitMs = 0;
  #revivedAt = Number.NEGATIVE_INFINITY;
  /** @type {import("./liveness.js").Verdict} of the last sample, also while its cure has to wait */
  verdict = "ok";

  /** A new path, or the page was hidden. */
  reset() {
    this.#liveness.reset();
  }

  /**
   * @param {import("./liveness.js").Sample} sample
   * @returns {Cure | null}
   */
  feed(sample) {
    const now = sample.nowMs;
    const verdict = this.#liveness.feed(sample);
    this.verdict = verdict;
    if (verdict === "ok") {
      if (now - this.#revivedAt > WELL_MS) this.#waitMs = 0;
      return null;
    }
    // A source that sends nothing for good must not be asked for ever faster.
    if (now - this.#revivedAt < this.#waitMs) return null;
    this.#revivedAt = now;
    this.#waitMs = Math.min(LONGEST_WAIT_MS, Math.max(FIRST_WAIT_MS, this.#waitMs * 2));
    this.#liveness.reset();
    if (verdict === "not-shown") return "reattach";
    return verdict === "no-packets" ? "restart-ice" : "new-offer";
  }
}
