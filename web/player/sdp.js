// The changes the page makes to its own offer, and what it reads from an answer. Pure.

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
 * Offers to report the receiver's clock for every video format that reports losses (RFC 3611 section 5.1): from the answers
 * a viewer learns its round trip, and asks for a lost repetition after that time and not after a tenth of a second.
 *
 * @param {string} sdp
 */
export function withReceiverClock(sdp) {
  return sdp.replace(/^a=rtcp-fb:(\d+) nack pli(\r?\n)(?!a=rtcp-fb:\1 rrtr\b)/gm, "$&a=rtcp-fb:$1 rrtr$2");
}

/**
 * The DTLS fingerprint of a description (RFC 8122), in one spelling; empty when there is none.
 *
 * @param {string} sdp
 */
export function fingerprintOf(sdp) {
  return (/^a=fingerprint:(.+?)\r?$/m.exec(sdp)?.[1] ?? "").toUpperCase();
}
