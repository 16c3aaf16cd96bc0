// Codes of the server in plain words, and numbers as people read them. Pure.

/** @type {Record<string, string>} */
const ERRORS = {
  network: "The server cannot be reached. Check your connection.",
  unauthorized: "You are not signed in.",
  forbidden: "You may not do that.",
  not_found: "That is not here, or not yours.",
  session_active: "You already have a game running.",
  no_servers: "Every place is taken right now. Try again in a minute.",
  slot_in_use: "A running game uses this save. Stop the game first.",
  rate_limited: "That was a lot of launches.",
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
  placing: "Finding a place to play",
  downloading: "Downloading",
  restoring_save: "Bringing back your save",
  starting: "Starting the game",
  waiting_for_picture: "Waiting for the picture",
  flushing_save: "Saving your game",
  storing_save: "Putting your save away",
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
  stopped_by_user: ["Curtain down", "The game was stopped."],
  idle: ["Put away", "Nobody played for a while, so the game was stopped."],
  ttl: ["Time is up", "The session reached its time limit."],
  game_exited: ["The end", "The game was closed from inside."],
  game_crashed: ["The game crashed", "It ended by itself."],
  out_of_memory: ["Out of memory", "The game needed more memory than it may have."],
  node_lost: ["The server went away", "The machine that ran the game was lost."],
  launch_timeout: ["It did not start", "The game sent no picture in time."],
  launch_failed: ["It did not start", "The game could not be started."],
  replaced: ["You play somewhere else", "Another window took over this game. Only one can play at a time."],
  grant_ended: ["The invitation has ended", "The link you came with was revoked or has run out."],
  unauthorized: ["Not invited", "You are not signed in, or the link you came with is no longer good."],
  not_found: ["Nobody plays here", "This session is over, or it is not yours to see."],
  unsupported_codec: ["This browser cannot show it", "The game sends a picture that this browser cannot decode."],
  gateway_shutdown: ["Closing time", "The server was shut down in order."],
};

/**
 * @param {string | null | undefined} reason
 * @returns {{ title: string, text: string }}
 */
export function endInWords(reason) {
  const [title, text] = ENDS[reason ?? ""] ?? ["The game has ended", reason ? `${sentence(reason)}.` : "The session is over."];
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
