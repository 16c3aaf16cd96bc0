// One RTCPeerConnection: receives one video and one audio track as two separate streams (in one stream, lip-sync
// would hold the picture back) and opens the two input channels: who only watches may get the controls at any moment, and
// then nothing has to be offered again. Makes offers and takes answers; decides nothing
// about when.

import { POINTER_LABEL, RELIABLE_LABEL } from "./input.js";
import { fingerprintOf, withReceiverClock, withStereoOpus } from "./sdp.js";

/**
 * @typedef {object} PeerEvents
 * @property {() => void} state connection state changed
 * @property {(stream: MediaStream) => void} video
 * @property {(stream: MediaStream) => void} audio
 * @property {(channels: Channels) => void} channels both input channels are open
 */
/** @typedef {{ reliable: RTCDataChannel, pointer: RTCDataChannel }} Channels */

export class Peer {
  /** @type {Promise<RTCSessionDescriptionInit> | null} */
  #prepared = null;
  /** @type {string | null} the gateway's DTLS fingerprint */
  #fingerprint = null;
  /** @type {RTCDtlsTransport | null} */
  #transport = null;

  /**
   * @param {PeerEvents} events
   */
  constructor(events) {
    this.events = events;
    this.everConnected = false;
    const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    this.pc = pc;
    const video = pc.addTransceiver("video", { direction: "recvonly" });
    pc.addTransceiver("audio", { direction: "recvonly" });
    playAtOnce(video.receiver);
    pc.addEventListener("track", ({ track }) => {
      const stream = new MediaStream([track]);
      if (track.kind === "video") this.events.video(stream);
      else this.events.audio(stream);
    });
    pc.addEventListener("connectionstatechange", () => {
      if (pc.connectionState === "connected") this.everConnected = true;
      this.events.state();
    });
    this.#openChannels();
    // The offer is ready before signaling is: only its ICE servers are missing, and those count at gathering.
    this.#prepared = pc.createOffer();
    this.#prepared.catch(() => {});
  }

  get state() {
    return this.pc.connectionState;
  }

  /** True when the keys could not be agreed on, or the gateway closed its end: nothing but a new peer helps. */
  get dtlsFailed() {
    const over = (/** @type {string | undefined} */ state) => state === "failed" || state === "closed";
    return this.pc.getReceivers().some((receiver) => over(receiver.transport?.state));
  }

  /**
   * The offer to send, set as the local description.
   *
   * @param {RTCIceServer[]} iceServers
   * @param {{ restart?: boolean }} [options]
   * @returns {Promise<string>}
   */
  async offer(iceServers, { restart = false } = {}) {
    const pc = this.pc;
    if (iceServers.length > 0) pc.setConfiguration({ ...pc.getConfiguration(), iceServers });
    if (pc.signalingState === "have-local-offer") await pc.setLocalDescription({ type: "rollback" });
    const prepared = restart ? null : this.#prepared;
    this.#prepared = null;
    const offer = prepared ? await prepared : await pc.createOffer({ iceRestart: restart });
    const sdp = offer.sdp ?? "";
    // What a browser does not like about its own words it says here; the plainest ones are always good.
    const wordings = [withReceiverClock(withStereoOpus(sdp)), withStereoOpus(sdp)];
    for (const wording of wordings) {
      try {
        await pc.setLocalDescription({ type: "offer", sdp: wording });
        return pc.localDescription?.sdp ?? wording;
      } catch {
        // The next one says less.
      }
    }
    await pc.setLocalDescription({ type: "offer", sdp });
    return pc.localDescription?.sdp ?? sdp;
  }

  /**
   * Takes the answer. Throws when it cannot be used, or when it comes from another peer than before: then keys and
   * input channels are gone, and only a new peer gets them back.
   *
   * @param {string} sdp
   */
  async accept(sdp) {
    const fingerprint = fingerprintOf(sdp);
    if (this.#fingerprint !== null && fingerprint !== this.#fingerprint) throw new Error("the gateway has a new peer");
    await this.pc.setRemoteDescription({ type: "answer", sdp });
    this.#fingerprint = fingerprint;
    const transport = this.pc.getReceivers()[0]?.transport;
    if (transport && transport !== this.#transport) {
      this.#transport = transport;
      transport.addEventListener("statechange", () => this.events.state());
    }
  }

  close() {
    const silent = () => {};
    this.events = { state: silent, video: silent, audio: silent, channels: silent };
    this.pc.close();
  }

  #openChannels() {
    const reliable = this.pc.createDataChannel(RELIABLE_LABEL, { ordered: true });
    const pointer = this.pc.createDataChannel(POINTER_LABEL, { ordered: false, maxRetransmits: 0 });
    for (const channel of [reliable, pointer]) {
      channel.binaryType = "arraybuffer";
      channel.addEventListener("open", () => {
        if (reliable.readyState === "open" && pointer.readyState === "open") this.events.channels({ reliable, pointer });
      });
    }
  }
}

/**
 * No jitter buffer on the picture. Not on the sound: it would crackle at the first late packet.
 *
 * @param {RTCRtpReceiver} receiver
 */
function playAtOnce(receiver) {
  if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = 0;
  else if ("playoutDelayHint" in receiver) /** @type {any} */ (receiver).playoutDelayHint = 0;
}
