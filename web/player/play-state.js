// What the page of one viewer is doing, and what it says about it. Events go in, a view comes out.
//
// Invariants:
// - `playing` means that a frame with real dimensions was presented on a connected link, and that media has not stopped since.
// - Media that flows ends every trouble. A trouble that is shown stays, unchanged, until then.
// - Nothing is said about the game after the link was lost before the server has answered.
// Pure: knows neither elements nor clocks. Does not: decide how a session ended.

/** The link is up and still nothing comes: the trouble is not the network's, in milliseconds. */
export const SETTLED_MS = 2_000;

/** @typedef {import("./state.js").PageState} PageState */
/** @typedef {import("./connection.js").LinkState} LinkState */
/** @typedef {import("../lib/api.js").Progress} Progress */
/**
 * @typedef {object} Trouble
 * @property {"signaling" | "media"} where what does not answer: the server, or its media
 * @property {string[]} tried every `host:port` that was tried
 */
/**
 * @typedef {{ type: "launch" } | { type: "join", fresh: boolean } | { type: "link", state: LinkState, nowMs: number }
 *   | { type: "frame", width: number, height: number } | { type: "silent" } | { type: "signaling", open: boolean }
 *   | { type: "status", status: string, progress?: Progress | null } | { type: "unreachable", tried: string[] }
 *   | ({ type: "trouble" } & Trouble) | { type: "tick", nowMs: number } | { type: "stopping", on: boolean }
 *   | { type: "end", failed: boolean }} PlayEvent
 *   `silent`: nothing has come over a connected link for seconds. `unreachable`: the server did not answer a question for the
 *   session's status
 */
/**
 * @typedef {object} View
 * @property {PageState} page
 * @property {{ step: string, percent: number | null } | null} waiting what is being done, until the first frame
 * @property {"stopping" | "ending" | "no_video" | "reconnecting" | "reconnecting_running" | null} banner
 * @property {(Trouble & { before: boolean, running: boolean }) | null} trouble `before`: there was a picture before; `running`:
 *   the server has said, since the loss, that the game runs
 */

export class PlayState {
  #launched = false;
  #joined = false;
  #fresh = false;
  /** @type {LinkState} */
  #link = "idle";
  #linkedAtMs = 0;
  #seen = false;
  #flowing = false;
  #signaling = false;
  /** @type {string | null} what the server has said since the link was lost */
  #known = null;
  #status = "starting";
  /** @type {Progress | null} */
  #progress = null;
  /** @type {Trouble | null} */
  #trouble = null;
  #stopping = false;
  /** @type {"ended" | "failed" | null} */
  #end = null;
  /** @type {View} */
  #view = { page: "idle", waiting: null, banner: null, trouble: null };

  get view() {
    return this.#view;
  }

  /** A frame was presented in this view or an earlier one. */
  get seen() {
    return this.#seen;
  }

  /** Frames are being presented. */
  get flowing() {
    return this.#flowing;
  }

  /** The server has to be asked for the session's status. */
  get asks() {
    if (!this.#joined || this.#end || this.#stopping) return false;
    return this.#seen ? !this.#flowing || !this.#signaling : this.#status !== "running" || !this.#signaling;
  }

  /**
   * @param {PlayEvent} event
   * @returns {boolean} false: the event changed nothing
   */
  step(event) {
    if (this.#end || !this.#take(event)) return false;
    this.#view = { page: this.#page(), waiting: this.#waiting(), banner: this.#banner(), trouble: this.#troubled() };
    return true;
  }

  /** @param {PlayEvent} event @returns {boolean} */
  #take(event) {
    switch (event.type) {
      case "launch":
        this.#launched = true;
        return true;
      case "join":
        this.#joined = true;
        this.#fresh = event.fresh;
        return true;
      case "link":
        return this.#linked(event.state, event.nowMs);
      case "frame":
        return this.#framed(event.width, event.height);
      case "silent":
        return this.#stopped();
      case "signaling":
        if (event.open === this.#signaling) return false;
        this.#signaling = event.open;
        if (!event.open) this.#known = null;
        return true;
      case "status":
        this.#status = event.status;
        this.#known = event.status;
        if (event.progress) this.#progress = event.progress;
        return true;
      case "unreachable":
        this.#known = null;
        // Before the first frame the connection's own clock says when it has taken too long.
        if (this.#seen && !this.#flowing && !this.#trouble) this.#trouble = { where: "signaling", tried: event.tried };
        return true;
      case "trouble":
        if (this.#flowing || this.#link === "connected") return false;
        if (this.#trouble?.where === event.where && this.#trouble.tried.join() === event.tried.join()) return false;
        this.#trouble = { where: event.where, tried: event.tried };
        return true;
      case "tick":
        if (!this.#trouble || this.#link !== "connected" || event.nowMs - this.#linkedAtMs < SETTLED_MS) return false;
        this.#trouble = null;
        return true;
      case "stopping":
        this.#stopping = event.on;
        return true;
      case "end":
        this.#end = event.failed ? "failed" : "ended";
        this.#trouble = null;
        return true;
    }
  }

  /** @param {LinkState} state @param {number} nowMs */
  #linked(state, nowMs) {
    if (state === this.#link) return false;
    this.#link = state;
    if (state === "connected") this.#linkedAtMs = nowMs;
    else this.#stopped();
    return true;
  }

  /** @param {number} width @param {number} height */
  #framed(width, height) {
    if (this.#flowing || this.#link !== "connected" || !(width > 0) || !(height > 0)) return false;
    this.#flowing = true;
    this.#seen = true;
    this.#trouble = null;
    return true;
  }

  #stopped() {
    if (!this.#flowing) return false;
    this.#flowing = false;
    this.#known = null;
    return true;
  }

  /** @returns {PageState} */
  #page() {
    if (this.#end) return this.#end;
    if (this.#flowing) return "playing";
    if (this.#seen) return "reconnecting";
    if (this.#joined && (!this.#fresh || this.#status === "running")) return "connecting";
    return this.#launched || this.#joined ? "launching" : "idle";
  }

  /** @returns {View["waiting"]} */
  #waiting() {
    if (this.#seen || this.#end || !this.#launched) return null;
    if (this.#joined && this.#status === "running") {
      return { step: this.#link === "connected" ? "waiting_for_picture" : "connecting", percent: null };
    }
    return { step: this.#progress?.step ?? "starting", percent: this.#progress?.percent ?? null };
  }

  /** @returns {View["banner"]} */
  #banner() {
    if (this.#end) return null;
    if (this.#stopping) return "stopping";
    if (this.#status === "stopping") return "ending";
    if (!this.#seen || this.#flowing || this.#trouble) return null;
    // Without signaling it may be the gateway that is gone: a link takes seconds to notice.
    if (this.#link === "connected" && this.#signaling) return "no_video";
    return this.#known === "running" ? "reconnecting_running" : "reconnecting";
  }

  /** @returns {View["trouble"]} */
  #troubled() {
    return this.#trouble && { ...this.#trouble, before: this.#seen, running: this.#known === "running" };
  }
}
