// Why there is nothing to see in the frame, in words for a site's visitor, who has never heard of tokens. Pure.

/** @type {Record<string, [title: string, text: string]>} */
const REFUSALS = {
  embed_unknown: ["No such player", "This page shows a player that does not exist, or no longer does."],
  embed_wrong_site: ["Not on this site", "This player may not be shown on this site."],
  embed_expired: ["This player has run out", "It was here for a time, and that time is over."],
  embed_revoked: ["This player was switched off", "Whoever put it here has taken it back."],
  embed_used_up: ["This player is used up", "It could be opened a number of times, and all of them are taken."],
  embed_over: ["The game is over", "The game that was shown here has ended."],
  no_servers: ["Every place is taken", "Try again in a minute."],
  rate_limited: ["A moment, please", "There were many visits at once."],
  network: ["No connection", "The game's server cannot be reached. Check your connection."],
  no_token: ["The player was not opened", "The page around it did not say what to show. Reloading the page may help."],
  not_embedded: ["This belongs in a page", "It is a player for another site, and does not work on its own."],
};

/** Refusals after which another try may go better. Every fault of the server is one, too. */
const PASSING = new Set(["no_servers", "rate_limited", "network", "timeout"]);

/** @type {Record<string, [title: string, text: string]>} */
const ENDS = {
  grant_ended: ["This player was switched off", "Whoever put it here has taken it back, or its time is over."],
  unauthorized: ["This player was switched off", "Whoever put it here has taken it back, or its time is over."],
  not_found: ["The game is over", "The game that was shown here has ended."],
  replaced: ["You play somewhere else", "Another window has taken over this game."],
};

/**
 * @param {string} code
 * @param {string | null} told the gateway's own sentence, which knows more
 * @returns {{ title: string, text: string, passing: boolean }}
 */
export function refusalInWords(code, told) {
  const [title, text] = REFUSALS[code] ?? ["That did not work", "The player could not be opened."];
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
