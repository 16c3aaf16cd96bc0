// How the session is, and how it ended: by its status, which is asked for while the page needs to know, and by what signaling
// says of the end.
//
// Invariant: a session counts as ended only by its status, or by a word of the gateway's that the status does not deny.

import { ApiError, api } from "../lib/api.js";
import { SessionPoller, isEnded } from "./session-poller.js";

/** A question without an answer is given up after this long, in milliseconds. */
const WITHIN_MS = 5_000;

/** @typedef {import("../lib/api.js").SessionStatus} SessionStatus */
/**
 * @typedef {object} SessionEvents
 * @property {(status: SessionStatus) => void} status it has not ended
 * @property {() => void} unreachable a question had no answer; another one follows
 * @property {(outcome: import("./player.js").Outcome) => void} end
 */

export class SessionWatch {
  #sessionId;
  #events;
  #poller;
  /** @type {{ reason: string, detail: string } | null} signaling lets us in no more; the status has to say why */
  #shutOut = null;

  /**
   * @param {string} sessionId
   * @param {SessionEvents} events
   */
  constructor(sessionId, events) {
    this.#sessionId = sessionId;
    this.#events = events;
    let shutOut = this.#shutOut;
    this.#poller = new SessionPoller({
      get: () => {
        // An answer to a question of before says nothing of it.
        shutOut = this.#shutOut;
        return api.status(sessionId, AbortSignal.timeout(WITHIN_MS));
      },
      onStatus: (status) => this.#answered(status, shutOut),
      onError: (error) => this.#unanswered(error),
    });
  }

  /** @param {boolean} on ask until it has ended, or not at all */
  ask(on) {
    if (on) this.#poller.start({ untilEnd: true });
    else this.#poller.stop();
  }

  /** Asks now instead of at the end of the wait. */
  hurry() {
    this.#poller.hurry();
  }

  /**
   * Signaling lets us in no more, as if there were no session or it were not ours.
   *
   * @param {string} reason
   * @param {string} detail
   */
  shutOut(reason, detail) {
    this.#shutOut = { reason, detail };
    this.ask(true);
    this.hurry();
  }

  /**
   * The gateway says that it is over. Its status says more.
   *
   * @param {string | null} reason
   */
  async ended(reason) {
    /** @type {SessionStatus | null} */
    const status = await api.status(this.#sessionId, AbortSignal.timeout(WITHIN_MS)).catch(() => null);
    if (status) this.#events.end({ ...outcomeOf(status), reason: status.endReason ?? reason });
    else this.#events.end({ ...NOTHING, reason, failed: reason === "launch_failed" || reason === "launch_timeout" });
  }

  /** @param {SessionStatus} status @param {{ reason: string, detail: string } | null} shutOut when it was asked for */
  #answered(status, shutOut) {
    if (isEnded(status.status)) this.#events.end(outcomeOf(status));
    else if (shutOut) {
      this.ask(false);
      this.#events.end({ ...NOTHING, ...shutOut, failed: true });
    } else this.#events.status(status);
  }

  /** @param {unknown} error @returns {boolean} whether to go on asking */
  #unanswered(error) {
    if (error instanceof ApiError && (error.status === 404 || error.status === 401)) {
      const reason = error.status === 404 ? "not_found" : "unauthorized";
      this.#events.end({ ...NOTHING, reason, ...this.#shutOut, failed: true });
      return false;
    }
    this.#events.unreachable();
    return true;
  }
}

/** An end of which nothing is known. */
const NOTHING = { reason: null, detail: null, report: null, save: null, failed: false };

/** @param {SessionStatus} status */
function outcomeOf(status) {
  return { reason: status.endReason, detail: status.endDetail, report: null, failed: status.status === "error", save: status.save };
}
