// Numbers from RTCPeerConnection.getStats, as rates since the last look. Pure but for the one call.

/**
 * @typedef {object} Stats
 * @property {number} at performance.now
 * @property {string | null} codec
 * @property {string | null} audioCodec
 * @property {number} width
 * @property {number} height
 * @property {number} kbps received, picture and sound
 * @property {number} fps decoded
 * @property {number} bytesReceived picture and sound
 * @property {number} framesDecoded
 * @property {number} framesDropped
 * @property {number} keyFramesDecoded
 * @property {number} freezeCount
 * @property {number} frozenMs
 * @property {number} packetsReceived of the picture
 * @property {number} packetsLost
 * @property {number} lossPercent since the last look
 * @property {number} nackCount
 * @property {number} pliCount
 * @property {number} retransmittedPackets
 * @property {number} roundTripMs NaN while unknown
 * @property {number} jitterBufferMs mean since the last look
 * @property {number} decodeMs mean per frame since the last look
 * @property {number} processingMs from the first packet to the decoded frame, mean since the last look
 * @property {number} totalAudioEnergy
 * @property {number} audioPacketsReceived
 * @property {string | null} srtpCipher
 * @property {string | null} dtlsState
 * @property {string | null} local selected candidate
 * @property {string | null} remote
 * @property {import("./quality.js").Transport | null} transport
 */

/**
 * @param {Iterable<any>} reports
 * @param {number} at
 * @param {any} previous the `raw` of the last look
 * @returns {{ stats: Stats, raw: any }}
 */
export function readStats(reports, at, previous) {
  const byId = new Map([...reports].map((report) => [report.id, report]));
  const all = [...byId.values()];
  const video = all.find((report) => report.type === "inbound-rtp" && report.kind === "video") ?? {};
  const audio = all.find((report) => report.type === "inbound-rtp" && report.kind === "audio") ?? {};
  const transport = all.find((report) => report.type === "transport") ?? {};
  const pair =
    byId.get(transport.selectedCandidatePairId) ??
    all.find((report) => report.type === "candidate-pair" && report.nominated && report.state === "succeeded") ??
    {};
  const raw = { at, video, bytes: (video.bytesReceived ?? 0) + (audio.bytesReceived ?? 0) };
  const before = previous ?? { at, video: {}, bytes: raw.bytes };
  const seconds = Math.max(0.001, (at - before.at) / 1000);
  const delta = (/** @type {string} */ name) => Math.max(0, (video[name] ?? 0) - (before.video[name] ?? 0));
  const frames = delta("framesDecoded");
  const perFrameMs = (/** @type {string} */ name) => (frames > 0 ? (delta(name) / frames) * 1000 : 0);
  const emitted = delta("jitterBufferEmittedCount");
  const packets = delta("packetsReceived");
  const lost = delta("packetsLost");
  /** @type {Stats} */
  const stats = {
    at,
    codec: codecName(byId.get(video.codecId)),
    audioCodec: codecName(byId.get(audio.codecId)),
    width: video.frameWidth ?? 0,
    height: video.frameHeight ?? 0,
    kbps: Math.round(((raw.bytes - before.bytes) * 8) / 1000 / seconds),
    fps: previous ? Math.round((frames / seconds) * 10) / 10 : 0,
    bytesReceived: raw.bytes,
    framesDecoded: video.framesDecoded ?? 0,
    framesDropped: video.framesDropped ?? 0,
    keyFramesDecoded: video.keyFramesDecoded ?? 0,
    freezeCount: video.freezeCount ?? 0,
    frozenMs: (video.totalFreezesDuration ?? 0) * 1000,
    packetsReceived: video.packetsReceived ?? 0,
    packetsLost: video.packetsLost ?? 0,
    lossPercent: packets + lost > 0 ? (lost / (packets + lost)) * 100 : 0,
    nackCount: video.nackCount ?? 0,
    pliCount: video.pliCount ?? 0,
    retransmittedPackets: video.retransmittedPacketsReceived ?? 0,
    roundTripMs: typeof pair.currentRoundTripTime === "number" ? pair.currentRoundTripTime * 1000 : Number.NaN,
    jitterBufferMs: emitted > 0 ? (delta("jitterBufferDelay") / emitted) * 1000 : 0,
    decodeMs: perFrameMs("totalDecodeTime"),
    processingMs: perFrameMs("totalProcessingDelay"),
    totalAudioEnergy: audio.totalAudioEnergy ?? 0,
    audioPacketsReceived: audio.packetsReceived ?? 0,
    srtpCipher: transport.srtpCipher ?? null,
    dtlsState: transport.dtlsState ?? null,
    local: candidate(byId.get(pair.localCandidateId)),
    remote: candidate(byId.get(pair.remoteCandidateId)),
    transport: transportOf(byId.get(pair.localCandidateId)),
  };
  return { stats, raw };
}

/** @param {any} codec */
function codecName(codec) {
  return typeof codec?.mimeType === "string" ? codec.mimeType.replace(/^\w+\//, "") : null;
}

/**
 * @param {any} local the candidate media comes in by
 * @returns {import("./quality.js").Transport | null}
 */
function transportOf(local) {
  if (!local) return null;
  if (local.candidateType === "relay") return "relay";
  return local.protocol === "tcp" ? "tcp" : "udp";
}

/** @param {any} report */
function candidate(report) {
  if (!report) return null;
  const host = report.address || report.ip || "hidden";
  const address = host.includes(":") ? `[${host}]:${report.port}` : `${host}:${report.port}`;
  return `${address} ${report.protocol ?? ""} ${report.candidateType ?? ""}`.trim();
}

/** Looks at one connection again and again. A new connection starts anew. */
export class StatsReader {
  /** @type {RTCPeerConnection | null} */
  #pc = null;
  /** @type {any} */
  #raw = null;
  /** @type {Stats | null} */
  last = null;

  /**
   * @param {RTCPeerConnection | null} pc
   * @returns {Promise<Stats | null>}
   */
  async look(pc) {
    if (!pc || pc.signalingState === "closed") return this.last;
    if (pc !== this.#pc) {
      this.#pc = pc;
      this.#raw = null;
    }
    const reports = await pc.getStats();
    if (pc !== this.#pc) return this.last;
    const { stats, raw } = readStats(reports.values(), performance.now(), this.#raw);
    this.#raw = raw;
    this.last = stats;
    return stats;
  }
}
