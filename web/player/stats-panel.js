// The statistics overlay.

import { h } from "../lib/dom.js";

/** @typedef {import("./stats.js").Stats} Stats */

const number = (/** @type {number} */ value, digits = 0) => (Number.isFinite(value) ? value.toFixed(digits) : "–");

/**
 * @param {Stats} stats
 * @param {{ signalingMs: number, inputDropped: number }} more
 * @returns {[string, string][]}
 */
export function statsRows(stats, more) {
  return [
    ["Picture", `${stats.width}×${stats.height} ${stats.codec ?? ""}`.trim()],
    ["Frames", `${number(stats.fps, 1)}/s, ${stats.framesDropped} dropped, ${stats.freezeCount} freezes`],
    ["Bitrate", stats.kbps >= 1000 ? `${number(stats.kbps / 1000, 1)} Mbit/s` : `${stats.kbps} kbit/s`],
    ["Loss", `${number(stats.lossPercent, 1)} %, ${stats.packetsLost} in all, ${stats.retransmittedPackets} resent`],
    ["Round trip", `${number(stats.roundTripMs, 1)} ms, signaling ${number(more.signalingMs)} ms`],
    ["Jitter buffer", `${number(stats.jitterBufferMs, 1)} ms`],
    ["Decode", `${number(stats.decodeMs, 1)} ms`],
    ["Cipher", stats.srtpCipher ?? "–"],
    ["Your address", stats.local ?? "–"],
    ["Server", stats.remote ?? "–"],
  ];
}

/**
 * @param {HTMLElement} panel
 * @param {Stats | null} stats
 * @param {{ signalingMs: number, inputDropped: number }} more
 */
export function showStats(panel, stats, more) {
  if (!stats) {
    panel.replaceChildren(h("p", { text: "Not connected yet." }));
    return;
  }
  const rows = statsRows(stats, more).map(([name, value]) => h("div", {}, h("dt", { text: name }), h("dd", { text: value })));
  panel.replaceChildren(h("dl", {}, ...rows));
}
