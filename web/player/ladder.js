// What to do next while the media path is down: first an ICE restart, which keeps DTLS, the keys and the picture's
// state; then a new offer on a new peer connection, as often as it takes. Pure.

import { MEDIA_BACKOFF, backoffMs } from "./backoff.js";

/** How long one rung may take before the next is tried, in milliseconds. */
export const RUNG_TIMEOUT_MS = 5_000;

/**
 * @typedef {{ action: "restart-ice" | "new-offer", delayMs: number }} Rung
 */

/**
 * @param {object} state
 * @param {number} state.attempt how many rungs were tried since media last flowed
 * @param {boolean} state.everConnected this peer connection was connected once
 * @param {boolean} state.dtlsFailed its DTLS failed: an ICE restart cannot help
 * @param {number} chance 0-1
 * @returns {Rung}
 */
export function nextRung({ attempt, everConnected, dtlsFailed }, chance) {
  if (attempt === 0 && everConnected && !dtlsFailed) return { action: "restart-ice", delayMs: 0 };
  const before = everConnected && !dtlsFailed ? 1 : 0;
  const offers = attempt - before;
  return { action: "new-offer", delayMs: offers <= 0 ? 0 : backoffMs(MEDIA_BACKOFF, offers - 1, chance) };
}
