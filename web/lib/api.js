// Every HTTP call of the pages. Owns the bearer token (grants; users come with a cookie) and the estimate of the
// server's clock. Throws nothing but ApiError, whose message is a sentence for people.

import { errorInWords } from "./words.js";

/**
 * @typedef {object} Game
 * @property {string} id
 * @property {string} slug
 * @property {string} title
 * @property {string} developer
 * @property {string} description
 * @property {string[]} tags
 * @property {string | null} thumbnail
 * @property {string | null} releaseDate
 * @property {number} width
 * @property {number} height
 * @property {"absolute" | "relative" | "none"} pointer
 * @property {number} pads
 */
/**
 * @typedef {object} Slot
 * @property {string} id
 * @property {number} slot 1-3
 * @property {boolean} empty
 * @property {boolean} inUse
 * @property {string | null} updatedAt
 * @property {string | null} versionId
 * @property {number | null} bytes
 */
/** @typedef {{ id: string, number: number, createdAt: string, bytes: number, sha256: string, current: boolean }} Version */
/** @typedef {{ step: string, percent?: number | null }} Progress */
/** @typedef {{ code: string, message: string }} SourceFault `message`: the cause, for whoever runs the source */
/**
 * @typedef {object} SessionStatus
 * @property {string} sessionId
 * @property {"starting" | "running" | "stopping" | "stopped" | "error"} status
 * @property {string | null} serverUrl
 * @property {string | null} containerUrl
 * @property {string} gameTitle
 * @property {string} gameSlug
 * @property {string} startedAt
 * @property {string | null} expiresAt
 * @property {Record<string, string>} timeline
 * @property {Progress | null} progress
 * @property {SourceFault[]} [sourceFaults] what is wrong with the video's source
 * @property {string | null} endReason
 * @property {string | null} endDetail
 * @property {Save | null} save once it has ended, for its owner
 * @property {number} viewers
 */
/** @typedef {{ sessionId: string, gameSlug: string, gameTitle: string, status: string, startedAt: string }} ActiveSession */
/**
 * @typedef {object} Visit what an embed token is exchanged for
 * @property {string} sessionId
 * @property {string} token a grant to this one session
 * @property {"player" | "spectator"} role
 * @property {number | null} slot
 * @property {boolean} mayStop
 * @property {string} gameSlug
 * @property {string} gameTitle
 * @property {string[]} origins of the sites that may show it
 * @property {string} expiresAt
 */
/** @typedef {{ status: "stored" | "unchanged" | "pending" | "refused", reason: string | null }} Save what became of it at the end */
/** @typedef {{ status: string, duration: number, cpuSeconds: number, peakMemoryMb: number, save: Save | null }} StopReport */
/** @typedef {{ guest: boolean, signInUrl: string | null, code: boolean }} Providers */
/** @typedef {{ id: string, name: string | null }} User */
/** @typedef {{ grantId: string, role: "player" | "spectator", createdAt?: string, expiresAt: string, revoked?: boolean, url?: string, token?: string }} Grant */

/**
 * @typedef {object} Embed a token by which other sites show a session
 * @property {string} embedId
 * @property {string | null} sessionId
 * @property {"player" | "spectator"} role
 * @property {string[]} origins
 * @property {number} used
 * @property {string} expiresAt
 * @property {boolean} revoked
 * @property {string} [url] told once
 */

/** What the server refused, or that it was not reached (status 0). */
export class ApiError extends Error {
  /**
   * @param {number} status HTTP status, 0 when there was no answer
   * @param {string} code the contract's error code, or `network`
   * @param {string} message a sentence for people
   * @param {number | null} [retryAfterSeconds]
   */
  constructor(status, code, message, retryAfterSeconds = null) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** @type {string | null} */
let bearer = null;
let clockOffsetMs = 0;

/**
 * The token sent with every call from now on; `null`: the cookie alone.
 *
 * @param {string | null} token
 */
export function useToken(token) {
  bearer = token;
}

/** The server's time in milliseconds since the epoch, as far as its answers tell (to the second). */
export function serverNow() {
  return Date.now() + clockOffsetMs;
}

/**
 * @param {string} method
 * @param {string} path
 * @param {{ body?: unknown, raw?: { type: string, body: BodyInit }, keepalive?: boolean, signal?: AbortSignal }} [options] `body` goes as JSON, `raw` as it is
 * @returns {Promise<any>} the JSON answer, or `null` where there is none
 */
export async function request(method, path, options = {}) {
  /** @type {Record<string, string>} */
  const headers = { accept: "application/json" };
  if (bearer) headers.authorization = `Bearer ${bearer}`;
  if (options.raw) headers["content-type"] = options.raw.type;
  else if (options.body !== undefined) headers["content-type"] = "application/json";
  /** @type {Response} */
  let response;
  try {
    response = await fetch(path, {
      method,
      headers,
      credentials: "same-origin",
      cache: "no-store",
      body: options.raw?.body ?? (options.body === undefined ? undefined : JSON.stringify(options.body)),
      keepalive: options.keepalive ?? false,
      signal: options.signal,
    });
  } catch {
    throw new ApiError(0, "network", errorInWords("network", null, null));
  }
  noteClock(response.headers.get("date"));
  const body = await jsonOf(response);
  if (response.ok) return body;
  const code = typeof body?.error === "string" ? body.error : `http_${response.status}`;
  const told = typeof body?.message === "string" ? body.message : null;
  const wait = Number.parseInt(response.headers.get("retry-after") ?? "", 10);
  const retryAfter = Number.isFinite(wait) ? wait : null;
  throw new ApiError(response.status, code, errorInWords(code, told, retryAfter), retryAfter);
}

/** @param {Response} response */
async function jsonOf(response) {
  if (response.status === 204) return null;
  try {
    return await response.json();
  } catch {
    return null;
  }
}

/** @param {string | null} date */
function noteClock(date) {
  const then = date ? Date.parse(date) : Number.NaN;
  // The header has whole seconds: half of one is the fairest guess.
  if (Number.isFinite(then)) clockOffsetMs = then + 500 - Date.now();
}

const q = encodeURIComponent;

export const api = {
  /** @param {{ search?: string, page?: number }} [query] @returns {Promise<{ games: Game[], pagination: { page: number, limit: number, total: number, totalPages: number } }>} */
  games: (query = {}) =>
    request("GET", `/api/games?limit=50&page=${query.page ?? 1}${query.search ? `&search=${q(query.search)}` : ""}`),
  /** @param {string} slug @returns {Promise<Game>} */
  game: async (slug) => {
    const answer = await request("GET", `/api/games/${q(slug)}`);
    return answer?.game ?? answer;
  },
  /**
   * The game's picture as an address for `<img>`, fetched with the token: an image of its own only brings the cookie.
   *
   * @param {string} slug
   * @returns {Promise<string | null>}
   */
  thumbnail: async (slug) => {
    const path = `/api/games/${q(slug)}/thumbnail`;
    if (!bearer) return path;
    const answer = await fetch(path, { headers: { authorization: `Bearer ${bearer}` } }).catch(() => null);
    return answer?.ok ? URL.createObjectURL(await answer.blob()) : null;
  },
  /** @param {string} slug @returns {Promise<{ slots: Slot[] }>} */
  slots: (slug) => request("GET", `/api/game/save-slots?gameSlug=${q(slug)}`),
  /** @param {string} id */
  deleteSlot: (id) => request("DELETE", `/api/game/save-slots/${q(id)}`),
  /** @param {string} slot @returns {Promise<{ versions: Version[] }>} newest first */
  versions: (slot) => request("GET", `/api/game/save-slots/${q(slot)}/versions`),
  /** @param {string} slot @param {string} version */
  versionUrl: (slot, version) => `/api/game/save-slots/${q(slot)}/versions/${q(version)}`,
  /** @param {string} slot @param {string} version @returns {Promise<Version>} */
  restoreVersion: (slot, version) => request("POST", `/api/game/save-slots/${q(slot)}/versions/${q(version)}/restore`),
  /** @param {string} slot @param {Blob} archive a `tar.gz` @returns {Promise<Version>} */
  uploadVersion: (slot, archive) =>
    request("PUT", `/api/game/save-slots/${q(slot)}/versions`, { raw: { type: "application/gzip", body: archive } }),
  /** @param {{ gameSlug: string, saveSlotId?: string, fresh?: boolean }} body @returns {Promise<{ sessionId: string, status: string }>} */
  launch: (body) => request("POST", "/api/game/launch", { body }),
  /** @param {string} id @param {AbortSignal} [signal] @returns {Promise<SessionStatus>} */
  status: (id, signal) => request("GET", `/api/game/session-status?sessionId=${q(id)}`, { signal }),
  /** @param {string} sessionId @returns {Promise<{ status: string, expiresAt: string }>} */
  keepalive: (sessionId) => request("POST", "/api/game/keepalive", { body: { sessionId } }),
  /** @param {string} sessionId @returns {Promise<StopReport>} */
  stop: (sessionId) => request("POST", "/api/game/stop", { body: { sessionId } }),
  /** @returns {Promise<{ sessions: ActiveSession[] }>} */
  active: () => request("GET", "/api/game/sessions"),
  /** @param {string} sessionId */
  firstFrame: (sessionId) => request("POST", "/api/game/first-frame", { body: { sessionId } }),
  /** @param {{ sessionId: string, role: string, expiresIn: number }} body @returns {Promise<Grant>} */
  share: (body) => request("POST", "/api/game/share", { body }),
  /** @param {string} sessionId @returns {Promise<{ grants: Grant[] }>} */
  grants: (sessionId) => request("GET", `/api/game/share?sessionId=${q(sessionId)}`),
  /** @param {string} grantId */
  revoke: (grantId) => request("DELETE", `/api/game/share/${q(grantId)}`),
  /** With the embed token as bearer. @param {string} embedId @returns {Promise<Visit>} */
  visit: (embedId) => request("POST", "/api/embed/visit", { body: { embedId } }),
  /** @param {{ sessionId: string, role: string, origins: string[], expiresIn: number }} body @returns {Promise<Embed>} */
  mintEmbed: (body) => request("POST", "/api/embeds", { body }),
  /** @returns {Promise<{ embeds: Embed[] }>} newest first */
  embeds: () => request("GET", "/api/embeds"),
  /** @param {string} embedId */
  revokeEmbed: (embedId) => request("DELETE", `/api/embeds/${q(embedId)}`),
  /** @returns {Promise<Providers>} */
  providers: () => request("GET", "/api/auth/providers"),
  /** @returns {Promise<{ user?: User }>} */
  session: () => request("GET", "/api/auth/session"),
  /** @returns {Promise<{ user: User }>} */
  guest: () => request("POST", "/api/auth/guest", { body: {} }),
  /** @param {string} token @returns {Promise<{ user: User }>} */
  signIn: (token) => request("POST", "/api/auth/signin", { body: { token } }),
  /** @param {string} code @returns {Promise<{ user: User }>} */
  code: (code) => request("POST", "/api/auth/code", { body: { code } }),
  signOut: () => request("POST", "/api/auth/signout", { body: {} }),
};
