// The frame's end of the wire to the page around it. Owns who may speak and who is spoken to: only `window.parent`, before a
// visit only to open one, after it only from an origin that the visit names (or our own). What it must not do: tell
// of a visit to an origin that is not on its list.

import { answer, event, fromParent, ready, refusal } from "./protocol.js";

/**
 * @typedef {object} BridgeEvents
 * @property {(open: import("./protocol.js").Open, origin: string) => void} open
 * @property {(method: import("./protocol.js").Method, args: any[]) => Promise<unknown>} call throws errors with `code` and `message`
 */

export class Bridge {
  #window;
  #events;
  #own;
  /** @type {string | null} the parent's origin as the browser tells it, `null` while nobody has */
  #parent;
  /** @type {Set<string> | null} who may call; `null` before a visit */
  #allowed = null;

  /**
   * @param {object} place
   * @param {Window} place.window
   * @param {string} place.origin our own
   * @param {string | null} place.parentOrigin where the browser tells it without being asked
   * @param {BridgeEvents} events
   */
  constructor({ window, origin, parentOrigin }, events) {
    this.#window = window;
    this.#own = origin;
    this.#parent = parentOrigin;
    this.#events = events;
    window.addEventListener("message", (message) => this.#received(message));
  }

  /** There is a visit and somebody to tell of it. */
  get open() {
    return this.#allowed !== null && this.#parent !== null;
  }

  /** Tells whoever is around that we listen. */
  ready() {
    this.#window.parent.postMessage(ready(), "*");
  }

  /**
   * A visit has come about.
   *
   * @param {string[]} origins whom the token allows
   * @returns {boolean} false: the page around us is none of them. A parent nobody has named is kept out by the browser, by the
   *   same list in `frame-ancestors`; it is then spoken to when it has spoken
   */
  allow(origins) {
    const allowed = new Set([...origins, this.#own]);
    if (this.#parent !== null && !allowed.has(this.#parent)) return false;
    this.#allowed = allowed;
    return true;
  }

  /** The visit is over: only another one may be asked for. */
  close() {
    this.#allowed = null;
  }

  /** @param {string} name @param {unknown} detail cloned; holds no secrets */
  tell(name, detail) {
    if (this.#allowed !== null) this.#post(event(name, detail));
  }

  /**
   * There is no visit, and why. Whoever has the frame in its page may know that: it is shown there.
   *
   * @param {import("./protocol.js").Refusal} error
   */
  refused(error) {
    this.#post(event("error", error));
  }

  /** @param {unknown} message */
  #post(message) {
    if (this.#parent !== null) this.#window.parent.postMessage(message, this.#parent);
  }

  /** @param {MessageEvent} message */
  #received({ source, origin, data }) {
    if (source !== this.#window.parent || !/^https?:\/\//.test(origin)) return;
    if (this.#allowed !== null && !this.#allowed.has(origin)) return;
    const said = fromParent(data);
    if (said === null) return;
    // The browser's word, not the sender's.
    this.#parent = origin;
    if (said.type === "open") this.#events.open(said, origin);
    else if (this.#allowed === null) this.#post(refusal(said.id, { code: "not_open", message: "There is no visit." }));
    else if (said.type === "call") void this.#call(said);
    else this.#post(refusal(said.id, { code: "unknown_method", message: "This player does not know that method." }));
  }

  /** @param {import("./protocol.js").Call} call */
  async #call({ id, method, args }) {
    try {
      this.#post(answer(id, await this.#events.call(method, args)));
    } catch (error) {
      const { code, message } = /** @type {Error & { code?: unknown }} */ (error);
      this.#post(refusal(id, { code: typeof code === "string" ? code : "failed", message: String(message) }));
    }
  }
}

/**
 * The origin of the page around us, as far as the browser tells: Chromium and Safari name the ancestors, the others the
 * referrer, where the page allows it.
 *
 * @param {{ location: { ancestorOrigins?: ArrayLike<string> }, document: { referrer: string } }} window
 * @returns {string | null}
 */
export function originAround({ location, document }) {
  const named = location.ancestorOrigins?.[0];
  if (named !== undefined) return named;
  try {
    const { origin } = new URL(document.referrer);
    return origin === "null" ? null : origin;
  } catch {
    return null;
  }
}
