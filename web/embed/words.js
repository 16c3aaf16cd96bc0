// Why there is nothing to see in the frame, in words for a site's visitor, who has never heard of tokens. Pure.

/** @type {Record<string, [title: string, text: string]>} */
const REFUSALS = {
  embed_unknown: ["Player not found", "This player doesn't exist, or no longer does."],
  embed_wrong_site: ["Not available on this site", "This site isn't allowed to show this stream."],
  embed_expired: ["This player has expired", "It was available for a limited time."],
  embed_revoked: ["This player was switched off", "Its owner has revoked it."],
  embed_used_up: ["Visit limit reached", "This player can be opened a limited number of times."],
  embed_over: ["The game has ended", "The game that was shown here is over."],
  no_servers: ["All servers are busy", "Try again in a minute."],
  rate_limited: ["One moment", "Too many visits at once. Try again shortly."],
  network: ["No connection", "The game's server can't be reached. Check your connection."],
  no_token: ["The player couldn't be opened", "The page didn't say what to show. Reload the page."],
  not_embedded: ["This player must be embedded", "It works inside another site's page, not on its own."],
};

/** Refusals after which another try may go better. Every fault of the server is one, too. */
const PASSING = new Set(["no_servers", "rate_limited", "network", "timeout"]);

/** @type {Record<string, [title: string, text: string]>} */
const ENDS = {
  grant_ended: ["This player was switched off", "Its owner has revoked it, or it has expired."],
  unauthorized: ["This player was switched off", "Its owner has revoked it, or it has expired."],
  not_found: ["The game has ended", "The game that was shown here is over."],
  replaced: ["You're playing in another window", "Only one window can play at a time."],
};

/**
 * @param {string} code
 * @param {string | null} told the gateway's own sentence, which knows more
 * @returns {{ title: string, text: string, passing: boolean }}
 */
export function refusalInWords(code, told) {
  const [title, text] = REFUSALS[code] ?? ["Something went wrong", "The player couldn't be opened."];
  return { title, text: told || text, passing: PASSING.has(code) || /^http_5/.test(code) };
}

/**
 * What an end means in a frame, where it means something else than on our own pages.
 *
 * @param {string | null} reason
 * @returns {{ title: string, text: string } | null}
 */
export function embeddedEnd(reason) {
  const [title, text] = ENDS[reason ?? ""] ?? [];
  return title && text ? { title, text } : null;
}
