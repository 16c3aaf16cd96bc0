// The one change the page makes to its own offer, and what it reads from an answer. Pure.

/**
 * Asks for stereo: without `stereo=1` in the receiver's own description Chromium decodes Opus to one channel
 * (RFC 7587 section 7.1).
 *
 * @param {string} sdp
 */
export function withStereoOpus(sdp) {
  const types = [...sdp.matchAll(/^a=rtpmap:(\d+) opus\/48000\/2\r?$/gim)].map((match) => match[1]);
  return types.reduce((text, type) => {
    const line = new RegExp(`^(a=fmtp:${type} (?!.*\\bstereo=)[^\\r\\n]*)`, "m");
    return text.replace(line, "$1;stereo=1");
  }, sdp);
}

/**
 * The DTLS fingerprint of a description (RFC 8122), in one spelling; empty when there is none.
 *
 * @param {string} sdp
 */
export function fingerprintOf(sdp) {
  return (/^a=fingerprint:(.+?)\r?$/m.exec(sdp)?.[1] ?? "").toUpperCase();
}
