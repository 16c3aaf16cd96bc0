// Keeps the session while somebody plays, asks when nobody does, and shows what is left before it is put away.

import { ApiError, api, serverNow } from "../lib/api.js";
import { openDialog } from "../lib/dialog.js";
import { h } from "../lib/dom.js";
import { countdown } from "../lib/words.js";
import { KeepalivePlan } from "./keepalive-plan.js";

const TICK_MS = 1_000;
/** While the question stands: somebody else may be playing, so the lease is asked for again, in milliseconds. */
const REFRESH_MS = 15_000;

export class Keepalive {
  #sessionId;
  #parent;
  #plan;
  #sending = false;
  /** The next end of the lease that is told is a whole lease away: the session is new. */
  #whole;
  #started = false;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #ticking;
  #refreshedAt = 0;
  /** @type {HTMLDialogElement | null} */
  #dialog = null;
  #left = h("strong", { id: "time-left" });

  /**
   * @param {string} sessionId
   * @param {HTMLElement} parent where the question is shown
   * @param {boolean} fresh launched just now
   */
  constructor(sessionId, parent, fresh) {
    this.#sessionId = sessionId;
    this.#parent = parent;
    this.#plan = new KeepalivePlan(Date.now(), fresh);
    this.#whole = fresh;
  }

  start() {
    if (this.#started) return;
    this.#started = true;
    this.#ticking = setInterval(() => this.#tick(), TICK_MS);
  }

  stop() {
    clearInterval(this.#ticking);
    this.#started = false;
    this.#dialog?.close();
  }

  /** The person did something in the game. */
  input() {
    this.#plan.input(Date.now());
  }

  /** @param {string | null} expiresAt @param {boolean} [renewed] */
  lease(expiresAt, renewed = false) {
    if (!expiresAt) return;
    this.#plan.lease(Date.parse(expiresAt), serverNow(), renewed || this.#whole);
    this.#whole = false;
  }

  #tick() {
    const { send, ask, leftMs } = this.#plan.decide(Date.now(), serverNow());
    if (send) void this.#send();
    if (!ask) {
      this.#dialog?.close();
      return;
    }
    void this.#refresh();
    if (!this.#dialog) this.#ask();
    this.#left.textContent = Number.isFinite(leftMs) ? countdown(leftMs) : "a few minutes";
  }

  async #send() {
    if (this.#sending) return;
    this.#sending = true;
    try {
      const { expiresAt } = await api.keepalive(this.#sessionId);
      this.lease(expiresAt, true);
      this.#plan.sent(Date.now());
    } catch (error) {
      // Refused for good: signaling says why. Not reached: the next tick tries again.
      if (error instanceof ApiError && error.status !== 0) this.#plan.sent(Date.now());
    } finally {
      this.#sending = false;
    }
  }

  async #refresh() {
    const now = Date.now();
    if (now - this.#refreshedAt < REFRESH_MS) return;
    this.#refreshedAt = now;
    try {
      this.lease((await api.status(this.#sessionId)).expiresAt);
    } catch {
      // The time shown is then the last one known.
    }
  }

  #ask() {
    const yes = h("button", { type: "button", class: "button primary", id: "still-here", text: "I am still playing" });
    const dialog = openDialog(
      "still-there",
      "Still there?",
      [
        h("p", {}, "Nothing was pressed for a while. In ", this.#left, " the game will be closed. Your progress is saved first."),
        h("div", { class: "row end" }, yes),
      ],
      this.#parent,
    );
    this.#dialog = dialog;
    yes.addEventListener("click", () => dialog.close("here"));
    dialog.addEventListener("close", () => {
      this.#dialog = null;
      // Closing it by Escape or by a click is a sign of life too. `stop` clears the clock first.
      this.#plan.input(Date.now());
    });
    yes.focus();
  }
}
