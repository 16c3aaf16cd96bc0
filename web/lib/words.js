// Codes of the server in plain words, and numbers as people read them. Pure.

/** @type {Record<string, string>} */
const ERRORS = {
  network: "The server cannot be reached. Check your connection.",
  unauthorized: "You are not signed in.",
  forbidden: "You aren't allowed to do that.",
  not_found: "It doesn't exist, or you don't have access.",
  session_active: "You already have a game running.",
  no_servers: "All servers are busy right now. Try again in a minute.",
  slot_in_use: "A running game uses this save. Stop the game first.",
  rate_limited: "Too many launches in a short time.",
};

/**
 * @param {string} code
 * @param {string | null} told the server's own sentence
 * @param {number | null} retryAfterSeconds
 */
export function errorInWords(code, told, retryAfterSeconds) {
  // The server's sentence knows more than the code does.
  const words = told ?? ERRORS[code] ?? `The server answered with an error (${code.replace(/^http_/, "")}).`;
  if (retryAfterSeconds === null || /\d/.test(words)) return words;
  return `${words} Try again in ${retryAfterSeconds} ${retryAfterSeconds === 1 ? "second" : "seconds"}.`;
}

/** @type {Record<string, string>} */
const STEPS = {
  placing: "Finding a server",
  downloading: "Downloading",
  restoring_save: "Loading your save",
  starting: "Starting the game",
  waiting_for_picture: "Starting video",
  flushing_save: "Saving your game",
  storing_save: "Storing your save",
  stopping: "Stopping the game",
};

/**
 * @param {{ step: string, percent?: number | null } | null | undefined} progress
 * @returns {string}
 */
export function progressInWords(progress) {
  if (!progress) return "Starting the game";
  const words = STEPS[progress.step] ?? sentence(progress.step);
  return typeof progress.percent === "number" ? `${words} ${Math.round(progress.percent)} %` : words;
}

/** @type {Record<string, [title: string, text: string]>} */
const ENDS = {
  stopped_by_user: ["Game closed", "The game was ended."],
  idle: ["Closed after inactivity", "No one played for a while, so the game was closed."],
  ttl: ["Time is up", "The session reached its time limit."],
  game_exited: ["You quit the game", "It was closed from its own menu."],
  game_crashed: ["The game crashed", "It closed unexpectedly."],
  out_of_memory: ["Out of memory", "The game needed more memory than it is allowed."],
  node_lost: ["The server was interrupted", "The game ended with it."],
  media_failed: ["The video broke off", "The server lost this game's picture and sound, so the game was closed."],
  launch_timeout: ["The game didn't start", "It sent no video in time."],
  launch_failed: ["The game didn't start", "Something went wrong while starting it."],
  replaced: ["You're playing in another window", "Only one window can play at a time."],
  left: ["You left the game", "It may still be running. Resume it to continue, or to end it."],
  grant_ended: ["The invitation has ended", "The link was revoked or has expired."],
  unauthorized: ["Not invited", "You aren't signed in, or the link is no longer valid."],
  not_found: ["This session has ended", "Or you don't have access to it."],
  full: ["This session is full", "It has as many viewers as it can take. Try again in a moment."],
  unsupported_codec: ["This browser can't play the video", "The game sends a video format that this browser can't decode."],
  gateway_shutdown: ["The server was shut down", "The game was stopped."],
};

/**
 * @param {string | null | undefined} reason
 * @returns {{ title: string, text: string }}
 */
export function endInWords(reason) {
  const [title, text] = ENDS[reason ?? ""] ?? ["The game has ended", reason ? `${sentence(reason)}.` : "The session has ended."];
  return { title, text };
}

/** @param {string} code */
function sentence(code) {
  const words = code.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/**
 * Whole seconds as "1 h 2 min", "3 min 4 s" or "5 s".
 *
 * @param {number} seconds
 */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  if (hours > 0) return `${hours} h ${minutes} min`;
  if (minutes > 0) return whole % 60 === 0 ? `${minutes} min` : `${minutes} min ${whole % 60} s`;
  return `${whole} s`;
}

/**
 * Minutes and seconds left, as on a clock.
 *
 * @param {number} milliseconds
 */
export function countdown(milliseconds) {
  const seconds = Math.max(0, Math.ceil(milliseconds / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/**
 * @param {string | null} iso
 * @param {number} [now]
 */
export function when(iso, now = Date.now()) {
  const then = iso ? Date.parse(iso) : Number.NaN;
  if (!Number.isFinite(then)) return "";
  const ago = (now - then) / 1000;
  if (ago < 60) return "just now";
  if (ago < 3600) return `${Math.floor(ago / 60)} min ago`;
  const date = new Date(then);
  const today = new Date(now).toDateString() === date.toDateString();
  const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  if (today) return `today, ${time}`;
  return `${date.toLocaleDateString([], { day: "numeric", month: "long", year: "numeric" })}, ${time}`;
}

/** @param {number | null} count */
export function bytes(count) {
  if (count === null) return "";
  if (count < 1024) return `${count} B`;
  if (count < 1024 * 1024) return `${(count / 1024).toFixed(0)} kB`;
  return `${(count / 1024 / 1024).toFixed(1)} MB`;
}
