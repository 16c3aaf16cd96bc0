// Who has the controls: shown in the bar and in a panel of their own, asked for, given and taken there. Shows what the
// gateway tells and sends what is pressed; whether it is allowed the gateway decides.

import { serverNow } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { countdown } from "../lib/words.js";
import { asks, changeInWords, hotSeat, playersInWords, turnedDown, watchingInWords } from "./control-words.js";

/** How long a box of time for somebody else is, in seconds. */
const TURN_S = 60;
const TICK_MS = 250;

/** @typedef {import("./control-words.js").Control} Control */
/**
 * @typedef {object} ControlWishes
 * @property {(slot?: number) => void} request
 * @property {() => void} release
 * @property {(viewerId: string, seconds?: number) => void} pass
 * @property {(viewerId: string) => void} deny
 * @property {(slot?: number) => void} take
 */

export class ControlView {
  #theatre;
  #wishes;
  #captions;
  #me = "";
  /** @type {Control | null} */
  #control = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #ticking;
  /** A request of ours is being taken back: its end is no refusal. */
  #withdrawing = false;
  #listening = new AbortController();

  /**
   * @param {import("./theatre.js").Theatre} theatre
   * @param {import("./captions.js").Captions} captions
   * @param {ControlWishes} wishes
   */
  constructor(theatre, captions, wishes) {
    this.#theatre = theatre;
    this.#captions = captions;
    this.#wishes = wishes;
    const { people, controlPanel, ask, giveBack, takeBack, stage } = theatre;
    const options = { signal: this.#listening.signal };
    people.addEventListener("click", () => this.#open(controlPanel.hidden), options);
    ask.addEventListener("click", () => {
      this.#withdrawing = this.#control !== null && asks(this.#control, this.#me);
      if (this.#withdrawing) wishes.release();
      else wishes.request();
    }, options);
    giveBack.addEventListener("click", () => wishes.release(), options);
    takeBack.addEventListener("click", () => wishes.take(), options);
    controlPanel.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      this.#open(false);
      stage.focus({ preventScroll: true });
    }, options);
    // After a click of the mouse the keys belong to the game again.
    controlPanel.addEventListener("click", (event) => event.detail > 0 && stage.focus({ preventScroll: true }), options);
  }

  /**
   * @param {Control} control
   * @param {string} me this viewer's id
   */
  show(control, me) {
    const before = this.#control;
    this.#control = control;
    this.#me = me;
    const denied = turnedDown(before, control, me) && !this.#withdrawing;
    this.#withdrawing = false;
    const words = changeInWords(before, control, me, serverNow());
    if (denied) this.#captions.notice("Your request to play was declined.");
    else if (words) this.#captions.toast(words);
    this.#bar(control);
    this.#panel(control);
    const came = control.requests.some((request) => !before?.requests.some((old) => old.viewerId === request.viewerId));
    if (came && this.#decides(control)) {
      // Over a game that is being played nothing opens unasked: a click meant for it would give the controls away.
      if (control.you.slot === undefined) this.#open(true);
      else this.#captions.notice(`${words ?? "Someone wants to play"}. Answer in the menu.`);
    }
    for (const shown of [this.#theatre.handle, this.#theatre.people]) shown.classList.toggle("asked", this.#waiting());
    if (before && before.requests.length > 0 && control.requests.length === 0) this.#open(false);
    clearInterval(this.#ticking);
    this.#tick();
    if (hotSeat(control)) this.#ticking = setInterval(() => this.#tick(), TICK_MS);
  }

  /**
   * The menu was opened: a question that waits for an answer is shown with it. Closed: the panel goes, too.
   *
   * @param {boolean} open
   */
  menu(open) {
    if (!open) this.#open(false);
    else if (this.#waiting()) this.#open(true);
  }

  stop() {
    this.#listening.abort();
    clearInterval(this.#ticking);
    this.#theatre.hotSeat.hidden = this.#theatre.controlPanel.hidden = true;
  }

  /** Somebody asks, and the answer is ours. */
  #waiting() {
    return this.#control !== null && this.#control.requests.length > 0 && this.#decides(this.#control);
  }

  /** @param {Control} control */
  #decides(control) {
    return control.you.host || control.you.slot !== undefined;
  }

  /** @param {Control} control */
  #bar(control) {
    const { people, ask, giveBack, takeBack } = this.#theatre;
    const { host, slot } = control.you;
    const alone = control.holders.length + control.spectators + control.requests.length <= 1 && (host || slot !== undefined);
    const asking = asks(control, this.#me);
    people.hidden = alone;
    if (alone) this.#open(false);
    const watching = control.spectators > 0 ? h("span", { text: `· ${control.spectators} watching` }) : null;
    people.replaceChildren(h("span", { class: "names", text: playersInWords(control, this.#me) }), ...(watching ? [" ", watching] : []));
    // Its name is what is read on it, which voice control goes by.
    people.title = `${watchingInWords(control.spectators)}. Show who is playing`;
    const plays = slot !== undefined;
    this.#keepFocus(() => {
      ask.hidden = host || plays;
      ask.textContent = asking ? "Request sent. Cancel" : "Ask to play";
      giveBack.hidden = host || !plays;
      takeBack.hidden = !host || plays;
    });
  }

  /** @param {Control} control */
  #panel(control) {
    const { controlPanel } = this.#theatre;
    const { host, slot } = control.you;
    const rows = control.holders.map((holding) => {
      const mine = holding.viewerId === this.#me;
      const pad = control.slots > 1 ? `${holding.slot + 1}: ` : "";
      const take = host && !mine
        ? button("Take back", { take: holding.slot }, `Take back the controls from ${holding.name}`, () => this.#wishes.take(holding.slot))
        : null;
      return h("li", {}, h("span", { text: `${pad}${mine ? `${holding.name} (you)` : holding.name}` }), take);
    });
    const asking = control.requests.map((request) => {
      const { name, viewerId } = request;
      const may = this.#decides(control) && viewerId !== this.#me;
      const buttons = may
        ? [
            button("Let them play", { give: viewerId }, `Let them play: ${name}`, () => this.#wishes.pass(viewerId), true),
            button("For 1 minute", { turn: viewerId }, `For 1 minute: let ${name} play`, () => this.#wishes.pass(viewerId, TURN_S)),
            host ? button("Decline", { deny: viewerId }, `Decline ${name}`, () => this.#wishes.deny(viewerId)) : null,
          ]
        : [];
      const wanted = request.slot !== undefined && control.slots > 1 ? ` (slot ${request.slot + 1})` : "";
      return h("li", { class: "asking" }, h("span", { text: `${name}${wanted}` }), h("span", { class: "row" }, ...buttons));
    });
    const close = h("button", { type: "button", class: "button small quiet", id: "control-close", text: "Close" });
    close.addEventListener("click", () => this.#open(false));
    this.#keepFocus(() => controlPanel.replaceChildren(
      h("h2", { text: asking.length > 0 && (host || slot !== undefined) ? requestTitle(asking.length, control.requests[0]?.name) : "Players" }),
      ...(asking.length > 0 ? [h("ul", { class: "grants", id: "control-requests", "aria-label": "Requests to play" }, ...asking)] : []),
      rows.length > 0 ? h("ul", { class: "grants", id: "control-holders", "aria-label": "Playing" }, ...rows) : h("p", { text: "No one is playing." }),
      h("div", { class: "row apart" }, h("p", { class: "muted", id: "control-spectators", text: watchingInWords(control.spectators) }), close),
    ));
  }

  /** @param {boolean} open */
  #open(open) {
    const { controlPanel, people, stage } = this.#theatre;
    const inside = controlPanel.contains(document.activeElement);
    controlPanel.hidden = !open;
    people.setAttribute("aria-expanded", String(open));
    if (!open && inside) stage.focus({ preventScroll: true });
  }

  /** What had the focus may be gone after a change: then the stage has it. @param {() => void} change */
  #keepFocus(change) {
    const had = document.activeElement;
    const { bar, controlPanel, stage } = this.#theatre;
    const ours = had instanceof HTMLElement && (bar.contains(had) || controlPanel.contains(had));
    // Found again by what it does.
    const mark = had instanceof HTMLElement ? markOf(had) : null;
    change();
    if (!ours || (had.isConnected && had.offsetParent !== null)) return;
    const again = mark ? /** @type {HTMLElement | null} */ (controlPanel.querySelector(mark)) : null;
    (again ?? stage).focus({ preventScroll: true });
  }

  #tick() {
    const { hotSeat: shown } = this.#theatre;
    const seat = this.#control ? hotSeat(this.#control) : null;
    shown.hidden = seat === null;
    if (!seat) return;
    const left = countdown((seat.until ?? 0) - serverNow());
    shown.replaceChildren(seat.viewerId === this.#me ? "Your turn: " : `${seat.name} plays: `, h("strong", { text: left }), " left");
  }
}

/** @param {number} count @param {string | undefined} name of the first */
function requestTitle(count, name) {
  return count === 1 && name ? `${name} wants to play` : `${count} people want to play`;
}

/**
 * @param {string} text
 * @param {Record<string, string | number>} data
 * @param {string} label says it without the line it stands in
 * @param {() => void} press
 * @param {boolean} [primary]
 */
function button(text, data, label, press, primary = false) {
  const made = h("button", { type: "button", class: `button small ${primary ? "primary" : "quiet"}`, data, "aria-label": label, text });
  made.addEventListener("click", press);
  return made;
}

/** @param {HTMLElement} element @returns {string | null} */
function markOf(element) {
  const [entry] = Object.entries(element.dataset);
  return entry ? `[data-${entry[0]}="${CSS.escape(entry[1] ?? "")}"]` : element.id ? `#${CSS.escape(element.id)}` : null;
}
