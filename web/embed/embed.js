// A player of Playgate for any page, without dependencies and in one file:
//
//   <script type="module" src="https://play.example/embed.js"></script>
//   <playgate-player src="https://play.example/embed/ID#pge_TOKEN" controls></playgate-player>
//
// The element is a frame of the gateway's own page and speaks with it by postMessage: what is said is described in
// `protocol.js`, what can be done with it in `embed.d.ts`. It listens to nobody but that frame, and the token goes to the
// gateway's origin only: never into an address, never into a log.

const VERSION = 1;
/** A frame that has not said a word for this long did not load, in milliseconds. */
const READY_WITHIN_MS = 10_000;
/** A call is given up after this long without an answer: a stop waits for the save, in milliseconds. */
const ANSWER_WITHIN_MS = 60_000;
/** Between two tries to load the frame, in milliseconds; doubled up to the second. */
const RETRY_MS = [2_000, 60_000];
const ALLOW = "autoplay; fullscreen; gamepad; clipboard-write; screen-wake-lock";
const STATES = ["idle", "launching", "connecting", "playing", "reconnecting", "ended", "failed"];
const EVENTS = ["state", "progress", "firstframe", "control", "statistics", "end", "error"];

const STYLE = `
  :host { display: block; position: relative; aspect-ratio: 16 / 9; background: #07050a; overflow: hidden; contain: content; }
  :host([hidden]) { display: none; }
  :host(:fullscreen) { aspect-ratio: auto; }
  iframe { position: absolute; inset: 0; width: 100%; height: 100%; border: 0; background: #07050a; color-scheme: dark; }
  /* Until it speaks it may be the browser's own page about a frame that it could not load. */
  iframe.silent { opacity: 0; }
  section { position: absolute; inset: 0; display: grid; align-content: center; justify-items: center; gap: .8rem; padding: 1rem;
    overflow: auto; box-sizing: border-box; background: #07050a; color: #f5efe4; text-align: center;
    font: 400 1rem/1.5 system-ui, sans-serif; color-scheme: dark; }
  section[hidden] { display: none; }
  h2 { margin: 0; font-size: 1.3rem; line-height: 1.2; color: #f7c566; }
  p { margin: 0; max-width: 44ch; }
  button { min-height: 2.75rem; padding: .5rem 1.4rem; border: 1px solid #f2b84b; border-radius: 999px; background: #f2b84b;
    color: #23170a; font: 600 1rem/1.2 system-ui, sans-serif; cursor: pointer; }
  button:focus-visible { outline: 3px solid #c9b4ff; outline-offset: 3px; }
`;

/** What a call came to, or why there is no player. */
export class PlaygateError extends Error {
  /** @param {string} code @param {string} message a sentence for people */
  constructor(code, message) {
    super(message);
    this.name = "PlaygateError";
    this.code = code;
  }
}

/** @typedef {{ resolve: (value: any) => void, reject: (error: Error) => void, timer: ReturnType<typeof setTimeout> }} Waiting */
/** @typedef {{ src: string, origin: string }} Address */

// Where there is no document (a server that renders pages) the module still loads.
const Base = typeof HTMLElement === "undefined" ? /** @type {typeof HTMLElement} */ (/** @type {unknown} */ (class {})) : HTMLElement;

/**
 * The frames of each address that are in the page, by name: the first is number 0, and so on. Reloads bring each back to its own
 * visit, and so does a page that takes its player out and puts it in again.
 *
 * @type {Map<string, Set<string>>}
 */
const names = new Map();

export class PlaygatePlayerElement extends Base {
  static observedAttributes = ["src", "embed", "token", "gateway", "muted", "controls", "start"];

  #shadow;
  #notice;
  /** @type {HTMLIFrameElement | null} */
  #frame = null;
  #token = "";
  /** A token has come since the frame was loaded. */
  #brought = false;
  /** @type {Address | null} where the frame is, or is to be */
  #address = null;
  /** @type {import("./embed.js").PlayerState} */
  #state = "idle";
  /** @type {"player" | "spectator" | null} */
  #role = null;
  #muted = true;
  /** The state told last. */
  #said = "";
  /** The frame listens to calls. */
  #open = false;
  /** @type {{ id: number, method: string, args: unknown[] }[]} calls from before that, sent when it does */
  #queue = [];
  /** @type {Map<number, Waiting>} */
  #calls = new Map();
  #ids = 0;
  #tries = 0;
  #settling = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #watchdog;

  constructor() {
    super();
    this.#shadow = this.attachShadow({ mode: "open" });
    dress(this.#shadow);
    this.#notice = document.createElement("section");
    this.#notice.hidden = true;
    this.#shadow.append(this.#notice);
  }

  connectedCallback() {
    window.addEventListener("message", this.#received);
    this.#settle();
  }

  disconnectedCallback() {
    window.removeEventListener("message", this.#received);
    this.#unload();
    this.#fail(new PlaygateError("removed", "The player was taken out of the page."));
    this.#become("idle");
  }

  /** @param {string} name @param {string | null} before @param {string | null} now */
  attributeChangedCallback(name, before, now) {
    if (before === now) return;
    if (name === "muted") this.#wish("mute", now !== null);
    else if (name === "controls") this.#wish("controls", now !== null);
    else this.#settle();
  }

  get state() {
    return this.#state;
  }

  get role() {
    return this.#role;
  }

  get muted() {
    return this.#open ? this.#muted : this.hasAttribute("muted");
  }

  set muted(on) {
    this.toggleAttribute("muted", on);
    // The attribute may have said so already, and somebody in the frame otherwise since.
    this.#wish("mute", on);
  }

  get controls() {
    return this.hasAttribute("controls");
  }

  set controls(on) {
    this.toggleAttribute("controls", on);
  }

  /** What was left visible of the address: never its token. */
  get src() {
    return this.getAttribute("src") ?? "";
  }

  set src(address) {
    this.setAttribute("src", address);
  }

  get embed() {
    return this.getAttribute("embed") ?? "";
  }

  set embed(id) {
    this.setAttribute("embed", id);
  }

  get start() {
    return this.getAttribute("start") === "click" ? "click" : "load";
  }

  set start(when) {
    this.setAttribute("start", when);
  }

  get gateway() {
    return this.getAttribute("gateway") ?? "";
  }

  set gateway(address) {
    this.setAttribute("gateway", address);
  }

  /**
   * Write-only: whoever needs it has it.
   *
   * @param {string} token
   */
  set token(token) {
    this.setAttribute("token", token);
  }

  async play() {
    if (!this.isConnected) throw new PlaygateError("not_connected", "The player is in no page.");
    const played = this.#until(() => this.#state === "playing", ["end", "error"]);
    if (!this.#frame) this.#load();
    else if (this.#state === "ended" || this.#state === "failed") this.#reopen();
    if (this.#state !== "ended" && this.#state !== "failed") this.#call("play", []).catch(() => {});
    this.#frame?.focus();
    await played;
  }

  async mute(on = true) {
    await this.#call("mute", [on]);
  }

  async fullscreen() {
    if (document.fullscreenElement === this) return document.exitFullscreen();
    try {
      await this.requestFullscreen({ navigationUI: "hide" });
    } catch (error) {
      // In this page and not in the frame: here is where the click was.
      throw new PlaygateError("not_allowed", `The browser allows full screen only from a click. (${/** @type {Error} */ (error).message})`);
    }
    this.#frame?.focus();
  }

  /** @param {number} [slot] */
  async requestControl(slot) {
    await this.#call("requestControl", slot === undefined ? [] : [slot]);
  }

  async releaseControl() {
    await this.#call("releaseControl", []);
  }

  async stop() {
    await this.#call("stop", []);
  }

  /** The keys go to the game. */
  focus() {
    this.#frame?.focus();
  }

  /** Reads the attributes once however many of them are changed together, and loads what they name. */
  #settle() {
    // At once, before anybody looks: the page's own markup is the one place a token is ever visible.
    this.#hideToken();
    if (this.#settling) return;
    this.#settling = true;
    queueMicrotask(() => {
      this.#settling = false;
      if (!this.isConnected) return;
      const address = this.#named();
      if (address?.src === this.#address?.src && this.#frame && !this.#brought) return;
      this.#address = address;
      this.#tries = 0;
      if (this.start === "click" && !this.#frame) this.#offer();
      else this.#load();
    });
  }

  /** Nothing is asked of the gateway before somebody wants to play: a visit may launch a game. */
  #offer() {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Play";
    button.setAttribute("aria-label", this.title ? `Play ${this.title}` : "Play");
    button.addEventListener("click", () => this.play().catch(() => {}));
    this.#notice.removeAttribute("role");
    this.#notice.replaceChildren(button);
    this.#notice.hidden = false;
    this.#become("idle");
  }

  #hideToken() {
    const src = this.getAttribute("src");
    const cut = src?.indexOf("#") ?? -1;
    let token = this.getAttribute("token") ?? "";
    if (src && cut >= 0) {
      token = src.slice(cut + 1) || token;
      this.setAttribute("src", src.slice(0, cut));
    }
    if (this.hasAttribute("token")) this.removeAttribute("token");
    if (!token) return;
    this.#brought ||= token !== this.#token;
    this.#token = token;
  }

  /** @returns {Address | null} */
  #named() {
    const src = this.getAttribute("src");
    const embed = this.getAttribute("embed");
    try {
      const home = this.getAttribute("gateway") ?? new URL(import.meta.url).origin;
      const url = src ? new URL(src, document.baseURI) : embed ? new URL(`/embed/${encodeURIComponent(embed)}`, home) : null;
      if (!url || !/^https?:$/.test(url.protocol)) return null;
      return { src: url.origin + url.pathname, origin: url.origin };
    } catch {
      return null;
    }
  }

  #load() {
    this.#unload();
    this.#brought = false;
    this.#address ??= this.#named();
    if (!this.#address || !this.#token) {
      this.#complain("no_address", "This player has nothing to show", "Its src is missing: the address of an embed, with its token.", false);
      return;
    }
    this.#notice.hidden = true;
    this.#become("launching");
    const frame = document.createElement("iframe");
    frame.title = this.title || "Game";
    frame.allow = ALLOW;
    // The gateway then can name the site that may not show it.
    frame.referrerPolicy = "origin";
    // Lazy frames would be silent for as long as nobody scrolls to them.
    frame.loading = "eager";
    frame.name = takeName(this.#address.src);
    frame.src = this.#address.src;
    frame.className = "silent";
    this.#frame = frame;
    this.#shadow.append(frame);
    this.#watchdog = setTimeout(() => this.#silent(), READY_WITHIN_MS);
  }

  #unload() {
    clearTimeout(this.#watchdog);
    if (this.#frame) names.get(this.#frame.src)?.delete(this.#frame.name);
    this.#frame?.remove();
    this.#frame = null;
    this.#open = false;
    this.#role = null;
  }

  /** Never loaded: blocked, or not reached. Tries again by itself, ever more slowly. */
  #silent() {
    this.#unload();
    const host = this.#address ? new URL(this.#address.origin).host : "";
    this.#complain("not_loaded", "The player does not load", `Nothing came from ${host}. It cannot be reached, or this site may not show it.`, true);
    const [first = 0, most = 0] = RETRY_MS;
    const wait = Math.min(most, first * 2 ** this.#tries) * (0.9 + Math.random() * 0.2);
    this.#tries += 1;
    this.#watchdog = setTimeout(() => this.#load(), wait);
  }

  /** @param {string} code @param {string} title @param {string} text @param {boolean} retry */
  #complain(code, title, text, retry) {
    const heading = document.createElement("h2");
    heading.textContent = title;
    const words = document.createElement("p");
    words.textContent = text;
    this.#notice.setAttribute("role", "alert");
    this.#notice.replaceChildren(heading, words);
    if (retry) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = "Try again";
      button.addEventListener("click", () => this.#load());
      this.#notice.append(button);
    }
    this.#notice.hidden = false;
    this.#become("failed");
    this.#fail(new PlaygateError(code, text));
    this.#dispatch("error", { code, message: text });
  }

  /** @param {MessageEvent} message */
  #received = ({ source, origin, data }) => {
    const frame = this.#frame;
    if (!frame || source !== frame.contentWindow || origin !== this.#address?.origin) return;
    if (typeof data !== "object" || data === null || data.playgate !== VERSION) return;
    if (data.type === "ready") {
      clearTimeout(this.#watchdog);
      frame.className = "";
      this.#tries = 0;
      this.#open = false;
      // A frame that was loaded anew has forgotten what it was asked.
      this.#fail(new PlaygateError("reloaded", "The player was loaded anew."), this.#queue);
      this.#reopen();
    } else if (data.type === "event" && EVENTS.includes(data.name)) {
      this.#heard(data.name, data.detail ?? {});
    } else if (data.type === "answer") {
      this.#answered(data);
    }
  };

  /** @param {string} name @param {any} detail */
  #heard(name, detail) {
    if (name === "state") {
      if (!STATES.includes(detail.state)) return;
      this.#role = detail.role ?? null;
      this.#muted = detail.muted !== false;
      this.#opened();
      this.#become(detail.state, detail);
      return;
    }
    if (name === "end") {
      this.#open = false;
      this.#role = null;
    }
    // Told before there is a visit: there will be none.
    if (name === "error" && !this.#open) {
      this.#become("failed");
      this.#fail(new PlaygateError(String(detail.code), String(detail.message)));
    }
    this.#dispatch(name, detail);
  }

  /** The frame is to make a visit, its first or another. */
  #reopen() {
    this.#become("launching");
    this.#post({ type: "open", token: this.#token, muted: this.hasAttribute("muted"), controls: this.hasAttribute("controls") });
  }

  #opened() {
    if (this.#open) return;
    this.#open = true;
    for (const call of this.#queue.splice(0)) this.#post({ type: "call", ...call });
  }

  /** @param {any} answer */
  #answered({ id, ok, value, error }) {
    const waiting = this.#calls.get(id);
    if (!waiting) return;
    this.#calls.delete(id);
    clearTimeout(waiting.timer);
    if (ok === true) waiting.resolve(value);
    else waiting.reject(new PlaygateError(String(error?.code ?? "failed"), String(error?.message ?? "Something went wrong.")));
  }

  /** @param {string} method @param {unknown[]} args @returns {Promise<any>} */
  #call(method, args) {
    const id = ++this.#ids;
    return new Promise((resolve, reject) => {
      if (!this.#frame && this.#state !== "idle") {
        reject(new PlaygateError("not_loaded", "The player is not loaded."));
        return;
      }
      const timer = setTimeout(() => {
        this.#calls.delete(id);
        reject(new PlaygateError("timeout", "The player did not answer in time."));
      }, ANSWER_WITHIN_MS);
      this.#calls.set(id, { resolve, reject, timer });
      if (this.#open) this.#post({ type: "call", id, method, args });
      else this.#queue.push({ id, method, args });
    });
  }

  /** An attribute says what to do; without a visit `open` will say it. @param {string} method @param {boolean} on */
  #wish(method, on) {
    if (this.#open) this.#call(method, [on]).catch(() => {});
  }

  /**
   * What waits for an answer is refused.
   *
   * @param {Error} error
   * @param {{ id: number, method: string, args: unknown[] }[]} [but] calls that have not been sent, and will be
   */
  #fail(error, but = []) {
    this.#queue = but;
    const kept = new Set(but.map(({ id }) => id));
    for (const [id, { reject, timer }] of this.#calls) {
      if (kept.has(id)) continue;
      this.#calls.delete(id);
      clearTimeout(timer);
      reject(error);
    }
  }

  /** @param {object} message */
  #post(message) {
    if (this.#frame && this.#address) this.#frame.contentWindow?.postMessage({ playgate: VERSION, ...message }, this.#address.origin);
  }

  /** @param {import("./embed.js").PlayerState} state @param {object} [detail] */
  #become(state, detail = {}) {
    this.#state = state;
    const told = { title: null, ...detail, state, role: this.#role, muted: this.muted };
    const said = JSON.stringify(told);
    if (said === this.#said) return;
    this.#said = said;
    this.#dispatch("state", told);
  }

  /** @param {string} name @param {object} detail */
  #dispatch(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  /**
   * @param {() => boolean} holds looked at now and at every change of state
   * @param {string[]} endings events after which it never will
   * @returns {Promise<void>}
   */
  #until(holds, endings) {
    return new Promise((resolve, reject) => {
      const over = new AbortController();
      const { signal } = over;
      const look = () => {
        if (!holds()) return;
        over.abort();
        resolve();
      };
      this.addEventListener("state", look, { signal });
      for (const name of endings) {
        this.addEventListener(name, (event) => {
          const { code, reason, message, text } = /** @type {CustomEvent} */ (event).detail;
          // A word about something else, while it goes on.
          if (name === "error" && this.#state !== "failed") return;
          over.abort();
          reject(new PlaygateError(String(code ?? reason ?? name), String(message ?? text ?? "The game has ended.")));
        }, { signal });
      }
      look();
    });
  }
}

/** @param {string} src */
function takeName(src) {
  const taken = names.get(src) ?? new Set();
  names.set(src, taken);
  let number = 0;
  while (taken.has(`playgate-${number}`)) number += 1;
  taken.add(`playgate-${number}`);
  return `playgate-${number}`;
}

/**
 * By a sheet that a script makes: a page whose policy forbids inline styles shows the element as it is, too.
 *
 * @param {ShadowRoot} shadow
 */
function dress(shadow) {
  try {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    shadow.adoptedStyleSheets = [sheet];
  } catch {
    // An older browser.
    const style = document.createElement("style");
    style.textContent = STYLE;
    shadow.append(style);
  }
}

/**
 * Puts a player into an element of the page.
 *
 * @param {Element} element what was in it goes
 * @param {import("./embed.js").MountOptions} options
 * @returns {PlaygatePlayerElement}
 */
export function mount(element, { src, embed, token, gateway, start, muted = false, controls = false, title, on = {} }) {
  // Not by the class: another copy of this file may have been the first.
  const player = /** @type {PlaygatePlayerElement} */ (document.createElement("playgate-player"));
  for (const [name, value] of Object.entries({ src, embed, token, gateway, start, title })) {
    if (value !== undefined) player.setAttribute(name, value);
  }
  player.toggleAttribute("muted", muted);
  player.toggleAttribute("controls", controls);
  for (const [name, listener] of Object.entries(on)) player.addEventListener(name, /** @type {EventListener} */ (listener));
  element.replaceChildren(player);
  return player;
}

if (typeof customElements !== "undefined" && !customElements.get("playgate-player")) {
  customElements.define("playgate-player", PlaygatePlayerElement);
}
