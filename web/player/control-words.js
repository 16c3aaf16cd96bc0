// Who has the controls, in words, and what a change means to the one who reads it. Pure.

/** @typedef {import("./signaling.js").ControlMessage} Control */
/** @typedef {import("./signaling.js").Holding} Holding */

/** @param {number} count of spectators */
export function watchingInWords(count) {
  if (count === 0) return "No one watching";
  return `${count} watching`;
}

/**
 * Who plays, short enough for the bar.
 *
 * @param {Control} control
 * @param {string} me viewer id
 */
export function playersInWords(control, me) {
  if (control.holders.length === 0) return "No one is playing";
  const name = (/** @type {Holding} */ holding) => (holding.viewerId === me ? "You" : holding.name);
  if (control.slots > 1 && control.holders.length > 1) return control.holders.map((holding) => `${holding.slot + 1} ${name(holding)}`).join(", ");
  const names = control.holders.map(name);
  const [first = ""] = names;
  if (names.length > 1) {
    // You come first, wherever you stand.
    const others = names.filter((one) => one !== "You");
    const all = others.length < names.length ? ["You", ...others] : names;
    return `${all.slice(0, -1).join(", ")} and ${all.at(-1)} play`;
  }
  return first === "You" ? "You play" : `${first} plays`;
}

/**
 * The hot-seat that ends first, if there is one.
 *
 * @param {Control} control
 * @returns {Holding | null}
 */
export function hotSeat(control) {
  const timed = control.holders.filter((holding) => holding.until !== undefined);
  return timed.sort((one, other) => (one.until ?? 0) - (other.until ?? 0))[0] ?? null;
}

/** @param {Control} control @param {string} me */
export function asks(control, me) {
  return control.requests.some((request) => request.viewerId === me);
}

/**
 * What to say of a change, `null` when there is nothing to say.
 *
 * @param {Control | null} before
 * @param {Control} now
 * @param {string} me
 * @param {number} nowMs on the server's clock
 * @returns {string | null}
 */
export function changeInWords(before, now, me, nowMs) {
  if (!before) return null;
  const [had, has] = [before.you.slot, now.you.slot];
  if (had === undefined && has !== undefined) return "You have the controls";
  const news = now.holders.find((holding) => !before.holders.some((old) => old.viewerId === holding.viewerId && old.slot === holding.slot));
  if (had !== undefined && has === undefined) {
    const until = before.holders.find((holding) => holding.viewerId === me)?.until;
    // The clocks may differ by a little.
    if (until !== undefined && until <= nowMs + 1_000) return news ? `Your time is over. ${news.name} plays` : "Your time is over";
    return news ? `${news.name} has the controls now` : "You only watch now";
  }
  const asking = now.requests.find((request) => !before.requests.some((old) => old.viewerId === request.viewerId));
  if (asking && asking.viewerId !== me && (now.you.host || has !== undefined)) return `${asking.name} wants to play`;
  if (news && news.viewerId !== me) return `${news.name} has the controls now`;
  return null;
}

/**
 * True when a request of mine is gone and brought nothing, and I did not take it back.
 *
 * @param {Control | null} before
 * @param {Control} now
 * @param {string} me
 */
export function turnedDown(before, now, me) {
  return before !== null && asks(before, me) && !asks(now, me) && now.you.slot === before.you.slot;
}
