// The grant a link brought along: taken out of the address bar, kept for this tab and this session only.

const key = (/** @type {string} */ sessionId) => `playgate.grant.${sessionId}`;

/**
 * @param {string} sessionId
 * @returns {string | null}
 */
export function takeGrant(sessionId) {
  const brought = new URLSearchParams(location.hash.slice(1)).get("token");
  if (location.hash) history.replaceState(null, "", location.pathname + location.search);
  try {
    if (brought) sessionStorage.setItem(key(sessionId), brought);
    return brought ?? sessionStorage.getItem(key(sessionId));
  } catch {
    return brought;
  }
}

/** @param {string} sessionId */
export function forgetGrant(sessionId) {
  try {
    sessionStorage.removeItem(key(sessionId));
  } catch {
    // Nothing was kept then.
  }
}

/**
 * The role that a grant's token names. Only a hint, to prepare for: the gateway decides.
 *
 * @param {string | null} token a JWT
 * @returns {string | null}
 */
export function roleOf(token) {
  try {
    const claims = token?.split(".")[1]?.replace(/-/g, "+").replace(/_/g, "/") ?? "";
    return JSON.parse(atob(claims)).role ?? null;
  } catch {
    return null;
  }
}
