// A visit: what an embed token was exchanged for, kept for this tab where the browser lets a frame keep anything. Every touch
// of storage may throw, for it is the storage of a third party.

import { ApiError, api, useToken } from "../lib/api.js";
import { isEnded } from "../player/session-poller.js";

/** @typedef {import("../lib/api.js").Visit} Visit */

export class VisitMemory {
  #key;

  /**
   * @param {string} embedId
   * @param {string} frameName tells several players of one token in one page apart
   */
  constructor(embedId, frameName) {
    this.#key = `playgate.visit.${embedId}.${frameName}`;
  }

  /** @returns {Visit | null} */
  recall() {
    try {
      const kept = JSON.parse(sessionStorage.getItem(this.#key) ?? "null");
      return isVisit(kept) && Date.parse(kept.expiresAt) > Date.now() ? kept : null;
    } catch {
      return null;
    }
  }

  /** @param {Visit} visit */
  keep(visit) {
    try {
      sessionStorage.setItem(this.#key, JSON.stringify(visit));
    } catch {
      // A reload makes a new visit then.
    }
  }

  forget() {
    try {
      sessionStorage.removeItem(this.#key);
    } catch {
      // Nothing was kept then.
    }
  }
}

/** @param {any} kept @returns {kept is Visit} */
function isVisit(kept) {
  return typeof kept?.sessionId === "string" && typeof kept.token === "string" && Array.isArray(kept.origins);
}

/**
 * A visit of before, if it is still good for anything. From here on its grant speaks.
 *
 * @param {Visit} visit
 * @returns {Promise<boolean>} throws ApiError when nobody can tell
 */
export async function stillGood(visit) {
  useToken(visit.token);
  try {
    return !isEnded((await api.status(visit.sessionId)).status);
  } catch (error) {
    if (error instanceof ApiError && error.status >= 400 && error.status < 500) return false;
    throw error;
  }
}

/**
 * @param {string} token an embed token
 * @param {string} embedId the one in our address, for whose sites this page was framed
 * @returns {Promise<Visit>} throws ApiError; from here on its grant speaks
 */
export async function makeVisit(token, embedId) {
  useToken(token);
  const visit = await api.visit(embedId);
  useToken(visit.token);
  return visit;
}
