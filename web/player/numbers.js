// What `window.playgate.stats()` gives: the connection's numbers, and what the page knows of its play. Names are relied upon by
// tests and by whoever looks at a player from a browser's console.

import { endInWords } from "../lib/words.js";
import { pageState } from "./state.js";

/**
 * @param {import("./stats.js").Stats | null} stats
 * @param {object} play
 * @param {string} play.sessionId
 * @param {string} play.sessionStatus
 * @param {import("./signaling.js").Signaling | null} play.signaling
 * @param {import("./connection.js").Connection | null} play.connection
 * @param {import("./signaling.js").ControlMessage | null} play.control
 * @param {import("./input-sender.js").InputSender} play.sender
 * @param {import("./picture.js").Picture} play.picture
 * @param {number} play.clickedAt
 * @param {boolean} play.muted
 * @param {import("./player.js").Outcome | null} play.outcome
 * @returns {Record<string, unknown>}
 */
export function playNumbers(stats, { sessionId, sessionStatus, signaling, connection, control, sender, picture, clickedAt, muted, outcome }) {
  const { firstFrameAt, shown } = picture;
  const welcome = signaling?.welcome;
  const ms = (/** @type {number} */ value) => (Number.isFinite(value) ? value : null);
  return {
    ...stats,
    state: pageState(),
    sessionId,
    viewerId: welcome?.viewerId ?? null,
    role: control?.you.role ?? welcome?.role ?? null,
    slot: (control ? control.you.slot : welcome?.slot) ?? null,
    control,
    sessionStatus,
    link: connection?.state ?? "idle",
    inputOpen: sender.open,
    inputSent: sender.sent,
    framesShown: shown,
    clickedAt: ms(clickedAt),
    firstFrameAt: ms(firstFrameAt),
    firstFrameMs: ms(firstFrameAt - clickedAt),
    muted,
    signalingMs: ms(signaling?.roundTripMs ?? Number.NaN),
    endReason: outcome?.reason ?? null,
    endWords: outcome ? endInWords(outcome.reason).text : null,
  };
}
