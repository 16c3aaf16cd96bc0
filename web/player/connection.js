// Keeps one viewer's media up: offer and answer over signaling, ICE restart, then new offers, until it is stopped.
// The game never notices. Does not: decide what a person sees; it reports.

import { RUNG_TIMEOUT_MS, nextRung } from "./ladder.js";
import { Peer } from "./peer.js";

/** Nothing connects for this long: say which addresses were tried, in milliseconds. */
export const TROUBLE_AFTER_MS = 5_000;
/** A path that broke may heal by itself for this long. */
const HEAL_MS = 1_500;

/** @typedef {"idle" | "connecting" | "connected" | "reconnecting"} LinkState */
/**
 * @typedef {object} ConnectionEvents
 * @property {(state: LinkState) => void} state
 * @property {(stream: MediaStream) => void} video
 * @property {(stream: MediaStream) => void} audio
 * @property {(channels: import("./peer.js").Channels | null) => void} channels `null`: input has nowhere to go
 * @property {(trouble: import("./play-state.js").Trouble) => void} trouble not connected for a while, again and again until it is
 */

export class Connection {
  /** @type {import("./signaling.js").Signaling} */
  #signaling;
  #events;
  /** @type {Peer | null} */
  #peer = null;
  /** @type {Peer | null} a peer made before anybody knew the session */
  #spare = null;
  /** @type {number | null} the offer that waits for its answer */
  #pending = null;
  #attempt = 0;
  #stopped = false;
  /** @type {LinkState} */
  #state = "idle";
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #watchdog;

  /**
   * @param {import("./signaling.js").Signaling} signaling
   * @param {ConnectionEvents} events
   */
  constructor(signaling, events) {
    this.#signaling = signaling;
    this.#events = events;
  }

  get state() {
    return this.#state;
  }

  /** The current peer connection, for statistics. */
  get pc() {
    return this.#peer?.pc ?? null;
  }

  /**
   * Starts, with a peer that was made ahead.
   *
   * @param {Peer} spare
   */
  start(spare) {
    this.#spare = spare;
    this.#setState("connecting");
    this.#watch();
  }

  /**
   * The gateway admitted us, for the first time or again.
   *
   * @param {import("./signaling.js").Welcome} welcome
   */
  welcomed(welcome) {
    if (this.#stopped) return;
    const kept = welcome.resumed === true && this.#peer !== null && this.#peer.everConnected;
    if (kept && this.#peer?.state === "connected") return;
    if (kept) void this.#restartIce();
    else void this.#newOffer();
  }

  /**
   * @param {number} id
   * @param {string} sdp
   */
  async answered(id, sdp) {
    if (id !== this.#pending || !this.#peer) return;
    this.#pending = null;
    try {
      await this.#peer.accept(sdp);
    } catch {
      this.#climb();
    }
  }

  /**
   * The gateway could not use our offer.
   *
   * @param {number | undefined} id which one, where it says so
   */
  offerRefused(id) {
    if (id !== undefined && id !== this.#pending) return;
    this.#pending = null;
    this.#schedule(RUNG_TIMEOUT_MS / 5);
  }

  /**
   * Something outside saw that no picture comes though the path looks alive. An ICE restart asks the path while it stays in
   * use: the link counts as connected until the browser says otherwise. A new offer gives it up.
   *
   * @param {"restart-ice" | "new-offer"} action
   */
  revive(action) {
    if (this.#stopped || this.#state !== "connected") return;
    if (action === "restart-ice") {
      if (this.#signaling.open) void this.#restartIce();
      return;
    }
    this.#attempt = 1;
    this.#setState("reconnecting");
    this.#watch();
    this.#climb();
  }

  /** A frame was presented: a peer that delivers one and says that it is connected is connected, whatever was seen of it before. */
  flowing() {
    if (!this.#stopped && this.#state !== "connected" && this.#peer?.state === "connected") this.#connected();
  }

  /** The gateway says that our media ended on its side: nothing there to restart. */
  mediaEnded() {
    if (this.#stopped) return;
    this.#lost();
    this.#attempt = Math.max(1, this.#attempt);
    this.#climb();
  }

  /** The network came back, or the page was looked at again. */
  hurry() {
    if (this.#stopped || this.#state === "connected" || this.#state === "idle") return;
    this.#attempt = 0;
    this.#climb();
  }

  stop() {
    this.#stopped = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#watchdog);
    this.#spare?.close();
    this.#peer?.close();
    this.#peer = null;
    this.#events.channels(null);
    this.#setState("idle");
  }

  async #newOffer() {
    const welcome = this.#signaling.welcome;
    if (this.#stopped || !welcome) return;
    const peer = this.#spare ?? sparePeer();
    this.#spare = null;
    this.#peer?.close();
    this.#events.channels(null);
    this.#peer = peer;
    peer.events = {
      state: () => this.#peerChanged(peer),
      video: (stream) => this.#events.video(stream),
      audio: (stream) => this.#events.audio(stream),
      channels: (channels) => this.#events.channels(channels),
    };
    await this.#send(peer, false);
  }

  async #restartIce() {
    const peer = this.#peer;
    if (!peer || peer.state === "closed") return this.#newOffer();
    await this.#send(peer, true);
  }

  /** @param {Peer} peer @param {boolean} restart */
  async #send(peer, restart) {
    this.#schedule(RUNG_TIMEOUT_MS);
    try {
      const sdp = await peer.offer(this.#signaling.welcome?.iceServers ?? [], { restart });
      if (peer !== this.#peer || this.#stopped) return;
      this.#pending = this.#signaling.offer(sdp);
    } catch {
      if (peer === this.#peer) this.#schedule(RUNG_TIMEOUT_MS / 5);
    }
  }

  /** @param {Peer} peer */
  #peerChanged(peer) {
    if (peer !== this.#peer || this.#stopped) return;
    if (peer.dtlsFailed && this.#state === "connected") {
      // The gateway closed its end, in order or by a restart: no use in waiting for ICE to notice.
      this.#lost();
      this.#climb();
      return;
    }
    switch (peer.state) {
      case "connected":
        this.#connected();
        break;
      case "disconnected":
        this.#lost();
        this.#schedule(HEAL_MS);
        break;
      case "failed":
        this.#lost();
        this.#climb();
        break;
      default:
        break;
    }
  }

  #connected() {
    this.#attempt = 0;
    clearTimeout(this.#timer);
    clearTimeout(this.#watchdog);
    this.#setState("connected");
  }

  #lost() {
    if (this.#state !== "connected") return;
    this.#attempt = 0;
    this.#setState("reconnecting");
    this.#watch();
  }

  /** The next rung of the ladder. Without signaling it waits: the next welcome goes on. */
  #climb() {
    if (this.#stopped) return;
    if (!this.#signaling.open) {
      this.#signaling.hurry();
      return;
    }
    const peer = this.#peer;
    const rung = nextRung(
      { attempt: this.#attempt, everConnected: peer?.everConnected ?? false, dtlsFailed: peer?.dtlsFailed ?? false },
      Math.random(),
    );
    this.#attempt += 1;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#stopped) return;
      void (rung.action === "restart-ice" ? this.#restartIce() : this.#newOffer());
    }, rung.delayMs);
  }

  /** @param {number} delayMs */
  #schedule(delayMs) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#peer?.state !== "connected") this.#climb();
    }, delayMs);
  }

  /** Starts the clock after which a person is told what was tried. */
  #watch() {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => {
      if (this.#stopped || this.#state === "connected") return;
      const media = this.#signaling.open;
      const tried = media ? (this.#signaling.welcome?.media ?? []) : [new URL(this.#signaling.url).host];
      this.#events.trouble({ where: media ? "media" : "signaling", tried });
      this.#watch();
    }, TROUBLE_AFTER_MS);
  }

  /** @param {LinkState} state */
  #setState(state) {
    if (state === this.#state) return;
    this.#state = state;
    this.#events.state(state);
  }
}

const silent = () => {};
const silentEvents = { state: silent, video: silent, audio: silent, channels: silent };

/** A peer that can be made before the gateway has let anybody in. */
export function sparePeer() {
  return new Peer(silentEvents);
}
