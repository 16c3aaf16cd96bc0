// What a player in a frame and the page around it say to each other by postMessage, version 1. This is the frame's side and
// the one place that describes it; `embed.js` has to hold its own copy of the few words it needs, for it is one file.
//
//   frame to parent   { playgate: 1, type: "ready" }                       the frame listens; holds nothing, so any origin may
//                                                                          read it
//                     { playgate: 1, type: "event", name, detail }         only to the parent's own origin: state, progress,
//                                                                          firstframe, control, statistics, end, error
//                     { playgate: 1, type: "answer", id, ok, value | error: { code, message } }
//   parent to frame   { playgate: 1, type: "open", token?, muted?, controls? }   the answer to `ready`; and once it is all over,
//                                                                          a wish for another visit
//                     { playgate: 1, type: "call", id, method, args }      play, mute, controls, requestControl,
//                                                                          releaseControl, stop, state
//
// Everything that comes from outside goes through `fromParent`: what does not fit exactly is nothing. Pure.

export const VERSION = 1;
/** What a page may call, and how many arguments it takes at most. */
export const METHODS = Object.freeze({ play: 0, mute: 1, controls: 1, requestControl: 1, releaseControl: 0, stop: 0, state: 0 });
/** Longest `id` of a call, and longest token, in characters. */
const MAX_TEXT = 128;

/** @typedef {keyof typeof METHODS} Method */
/** @typedef {{ type: "open", token: string | null, muted: boolean | null, controls: boolean | null }} Open */
/** @typedef {{ type: "call", id: number | string, method: Method, args: (string | number | boolean | null)[] }} Call */
/** @typedef {{ code: string, message: string }} Refusal */

/**
 * @param {unknown} data
 * @returns {Open | Call | { type: "unknown-call", id: number | string } | null} `unknown-call`: a page newer than this frame
 *   gets an answer, not silence
 */
export function fromParent(data) {
  if (typeof data !== "object" || data === null) return null;
  const message = /** @type {Record<string, unknown>} */ (data);
  if (message.playgate !== VERSION) return null;
  if (message.type === "open") {
    const { token, muted, controls } = message;
    if (token !== undefined && token !== null && !isToken(token)) return null;
    return { type: "open", token: isToken(token) ? token : null, muted: flag(muted), controls: flag(controls) };
  }
  if (message.type !== "call") return null;
  const { id, method, args = [] } = message;
  if (!isId(id) || typeof method !== "string" || !Array.isArray(args)) return null;
  if (!Object.hasOwn(METHODS, method)) return { type: "unknown-call", id };
  const known = /** @type {Method} */ (method);
  if (args.length > METHODS[known] || !args.every(isPlain)) return null;
  return { type: "call", id, method: known, args };
}

/** @param {unknown} token @returns {token is string} an embed token; whether it is good only the gateway knows */
export function isToken(token) {
  return typeof token === "string" && token.length <= MAX_TEXT && /^pge_[A-Za-z0-9_-]+$/.test(token);
}

/**
 * The token that a frame's address brings, `#pge_...`.
 *
 * @param {string} hash
 * @returns {string | null}
 */
export function tokenOf(hash) {
  const text = hash.replace(/^#/, "");
  return isToken(text) ? text : null;
}

export const ready = () => ({ playgate: VERSION, type: "ready" });

/** @param {string} name @param {unknown} detail */
export const event = (name, detail) => ({ playgate: VERSION, type: "event", name, detail });

/** @param {number | string} id @param {unknown} value */
export const answer = (id, value) => ({ playgate: VERSION, type: "answer", id, ok: true, value: value ?? null });

/** @param {number | string} id @param {Refusal} error */
export const refusal = (id, error) => ({ playgate: VERSION, type: "answer", id, ok: false, error });

/** @param {unknown} value */
const flag = (value) => (typeof value === "boolean" ? value : null);

/** @param {unknown} id @returns {id is number | string} */
const isId = (id) => (typeof id === "number" && Number.isFinite(id)) || (typeof id === "string" && id.length <= MAX_TEXT);

/** @param {unknown} value */
const isPlain = (value) =>
  value === null || typeof value === "boolean" || (typeof value === "number" && Number.isFinite(value)) ||
  (typeof value === "string" && value.length <= MAX_TEXT);
