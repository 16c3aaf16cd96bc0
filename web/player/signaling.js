// The signaling WebSocket of one session: hello, offers, answers, status. Reconnects by itself for as long as the
// session lives; media does not depend on it. Knows nothing of WebRTC.

import { SIGNALING_BACKOFF, backoffMs } from "./backoff.js";

/** @typedef {{ label: string, key: number, place: "up" | "down" | "left" | "right" | "primary" | "secondary" }} TouchControl */
/**
 * @typedef {object} GameHints
 * @property {string} slug
 * @property {string} title
 * @property {number} width
 * @property {number} height
 * @property {"absolute" | "relative" | "none"} pointer
 * @property {TouchControl[]} touch
 * @property {number} pads
 */
/**
 * @typedef {object} Welcome
 * @property {"welcome"} type
 * @property {string} sessionId
 * @property {string} viewerId
 * @property {string} [resume] secret that lets this viewer come back after its connection broke
 * @property {boolean} [resumed] it came back, and its peer is still there
 * @property {"player" | "spectator"} role
 * @property {number} [slot]
 * @property {{ urls: string[], username?: string, credential?: string }[]} iceServers
 * @property {string[]} media `host:port` of every UDP address media is answered on
 * @property {GameHints} game
 */
/** @typedef {{ type: "answer", id: number, sdp: string }} Answer */
/** @typedef {{ type: "status", status: string, progress: import("../lib/api.js").Progress | null, endReason: string | null, sourceFaults?: import("../lib/api.js").SourceFault[] }} StatusMessage */
/** @typedef {{ type: "cursor", visible: boolean, png: string | null, hotspotX: number, hotspotY: number }} CursorMessage */
/** @typedef {{ type: "rumble", pad: number, strong: number, weak: number, durationMs: number }} RumbleMessage */
/** @typedef {{ slot: number, viewerId: string, name: string, until?: number }} Holding `until`: when a hot-seat ends, Unix milliseconds */
/**
 * Who plays, who asks, who watches; at admission and at every change.
 *
 * @typedef {object} ControlMessage
 * @property {"control"} type
 * @property {{ role: "player" | "spectator", slot?: number, host: boolean }} you
 * @property {number} slots of the game
 * @property {Holding[]} holders by slot
 * @property {{ viewerId: string, name: string, slot?: number }[]} requests in the order they came
 * @property {number} spectators
 */
/** @typedef {{ type: "error", code: string, message: string, fatal: boolean, offer?: number }} ErrorMessage */
/** @typedef {{ type: "end", reason: string }} EndMessage */
/**
 * @typedef {Welcome | Answer | StatusMessage | CursorMessage | RumbleMessage | { type: "saved" } | { type: "pong", n: number }
 *   | ControlMessage | ErrorMessage | EndMessage} ServerMessage
 */
/**
 * @typedef {object} SignalingEvents
 * @property {(message: ServerMessage) => void} message everything the gateway says
 * @property {(failedTries: number) => void} down the connection broke or did not come up; another try follows
 */

/** A connection silent for this long after a ping is given up, in milliseconds. */
const PONG_TIMEOUT_MS = 8_000;
const PING_EVERY_MS = 5_000;

export class Signaling {
  #url;
  #token;
  #events;
  #make;
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retry;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #pinging;
  #failures = 0;
  #closed = false;
  #admitted = false;
  #offers = 0;
  #pings = 0;
  #pingSentAt = 0;
  #unanswered = 0;
  /** @type {Welcome | null} */
  #welcome = null;
  /** Round trip of the last ping in milliseconds. */
  roundTripMs = Number.NaN;

  /**
   * @param {object} options
   * @param {string} options.url `ws(s)://host/session/{id}/signal`
   * @param {string | null} options.token a grant's token; `null` when the cookie speaks
   * @param {SignalingEvents} options.events
   * @param {(url: string) => WebSocket} [options.make]
   */
  constructor({ url, token, events, make = (address) => new WebSocket(address) }) {
    this.#url = url;
    this.#token = token;
    this.#events = events;
    this.#make = make;
  }

  get url() {
    return this.#url;
  }

  /** The last welcome, kept while the connection is down. */
  get welcome() {
    return this.#welcome;
  }

  /** True while the gateway listens to us. */
  get open() {
    return this.#admitted;
  }

  connect() {
    if (this.#closed || this.#socket) return;
    const socket = this.#make(this.#url);
    this.#socket = socket;
    socket.addEventListener("open", () => this.#hello());
    socket.addEventListener("message", (event) => this.#received(socket, event.data));
    socket.addEventListener("close", () => this.#lost(socket));
  }

  /** Tries again at once instead of at the end of the wait. */
  hurry() {
    if (this.#socket || this.#closed) return;
    clearTimeout(this.#retry);
    this.connect();
  }

  /**
   * @param {string} sdp
   * @returns {number | null} the offer's id, `null` while there is no connection
   */
  offer(sdp) {
    const id = this.#offers + 1;
    if (!this.#send({ type: "offer", id, sdp })) return null;
    this.#offers = id;
    return id;
  }

  /** @param {import("./quality.js").Report} report */
  quality(report) {
    this.#send({ type: "quality", ...report });
  }

  /** @param {number} [slot] any, without one */
  requestControl(slot) {
    this.#send({ type: "request-control", slot });
  }

  /** Gives back what we have, or asks no longer. */
  releaseControl() {
    this.#send({ type: "release-control" });
  }

  /** @param {string} viewerId @param {number} [seconds] then it comes back @param {number} [slot] */
  passControl(viewerId, seconds, slot) {
    this.#send({ type: "pass-control", viewerId, seconds, slot });
  }

  /** @param {string} viewerId */
  denyControl(viewerId) {
    this.#send({ type: "deny-control", viewerId });
  }

  /** @param {number} [slot] */
  takeControl(slot) {
    this.#send({ type: "take-control", slot });
  }

  /** Leaves for good. */
  close() {
    if (this.#closed) return;
    this.#send({ type: "bye" });
    this.#closed = true;
    clearTimeout(this.#retry);
    clearInterval(this.#pinging);
    this.#socket?.close();
    this.#socket = null;
    this.#admitted = false;
  }

  #hello() {
    /** @type {Record<string, string>} */
    const hello = { type: "hello" };
    if (this.#token) hello.token = this.#token;
    const before = this.#welcome;
    if (before?.resume) {
      hello.viewerId = before.viewerId;
      hello.resume = before.resume;
    }
    this.#socket?.send(JSON.stringify(hello));
  }

  /** @param {WebSocket} socket @param {unknown} data */
  #received(socket, data) {
    if (socket !== this.#socket || typeof data !== "string") return;
    this.#unanswered = 0;
    /** @type {ServerMessage} */
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return;
    }
    if (message.type === "pong") {
      if (message.n === this.#pings) this.roundTripMs = performance.now() - this.#pingSentAt;
      return;
    }
    if (message.type === "welcome") {
      this.#welcome = message;
      this.#admitted = true;
      this.#failures = 0;
      clearInterval(this.#pinging);
      this.#pinging = setInterval(() => this.#ping(), PING_EVERY_MS);
    }
    // A resume that is no longer known must not keep us out: the next hello comes as a new viewer.
    if (message.type === "error" && !this.#admitted && this.#welcome?.resume) delete this.#welcome.resume;
    if (message.type === "end" || (message.type === "error" && message.fatal && isFinal(message.code))) {
      this.#closed = true;
      clearInterval(this.#pinging);
    }
    this.#events.message(message);
  }

  #ping() {
    if (this.#unanswered * PING_EVERY_MS >= PONG_TIMEOUT_MS) {
      const socket = this.#socket;
      if (socket) {
        socket.close();
        this.#lost(socket);
      }
      return;
    }
    this.#unanswered += 1;
    this.#pings += 1;
    this.#pingSentAt = performance.now();
    this.#send({ type: "ping", n: this.#pings });
  }

  /** @param {WebSocket} socket */
  #lost(socket) {
    if (socket !== this.#socket) return;
    this.#socket = null;
    this.#admitted = false;
    this.#unanswered = 0;
    clearInterval(this.#pinging);
    if (this.#closed) return;
    const wait = backoffMs(SIGNALING_BACKOFF, this.#failures, Math.random());
    this.#failures += 1;
    this.#retry = setTimeout(() => this.connect(), wait);
    this.#events.down(this.#failures);
  }

  /** @param {Record<string, unknown>} message */
  #send(message) {
    if (!this.#admitted || this.#socket?.readyState !== 1) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }
}

/**
 * Errors after which trying again would be refused again.
 *
 * @param {string} code
 */
export function isFinal(code) {
  return ["unauthorized", "not_found", "grant_ended", "replaced", "unsupported_codec", "full"].includes(code);
}

/**
 * @param {string} sessionId
 * @param {Location} here
 */
export function signalingUrl(sessionId, here) {
  const scheme = here.protocol === "https:" ? "wss" : "ws";
  return `${scheme}://${here.host}/session/${encodeURIComponent(sessionId)}/signal`;
}
