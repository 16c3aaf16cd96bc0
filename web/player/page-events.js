// What happens to the page around the game: somebody looks away, comes back, the network returns.

/**
 * @param {object} told
 * @param {() => void} told.away the page lost the focus or is hidden: nothing may stay pressed
 * @param {() => void} told.back it is visible again
 * @param {() => void} told.online
 * @returns {() => void} stops listening
 */
export function listenPage({ away, back, online }) {
  const page = new AbortController();
  const options = { signal: page.signal };
  window.addEventListener("blur", away, options);
  window.addEventListener("pagehide", away, options);
  document.addEventListener("visibilitychange", () => (document.hidden ? away() : back()), options);
  window.addEventListener("online", online, options);
  return () => page.abort();
}
