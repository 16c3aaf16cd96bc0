// Which session this tab was playing, so that a reload goes straight back to it.

const key = (/** @type {string} */ slug) => `playgate.playing.${slug}`;

/** @param {string} slug @param {string | null} sessionId */
export function remember(slug, sessionId) {
  try {
    if (sessionId) sessionStorage.setItem(key(slug), sessionId);
    else sessionStorage.removeItem(key(slug));
  } catch {
    // Storage may be forbidden: a reload then shows the launch card.
  }
}

/** @param {string} slug */
export function remembered(slug) {
  try {
    return sessionStorage.getItem(key(slug));
  } catch {
    return null;
  }
}
