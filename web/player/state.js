// What the page is doing, for its style sheet and for tests: `data-state` of the root element and `window.playgate`.
// Read-only from outside.

/** @typedef {"idle" | "launching" | "connecting" | "playing" | "reconnecting" | "ended" | "failed"} PageState */

/** @type {PageState} */
let current = "idle";

/** @param {PageState} state */
export function setState(state) {
  current = state;
  document.documentElement.dataset.state = state;
}

/** @returns {PageState} */
export function pageState() {
  return current;
}

/**
 * `window.playgate.stats()` gives a promise of the numbers right now; `window.playgate.last` the last ones looked at.
 *
 * @param {() => Promise<Record<string, unknown>>} stats
 * @param {() => Record<string, unknown>} last
 */
export function exposeForTests(stats, last) {
  const exposed = Object.freeze({
    stats,
    get state() {
      return current;
    },
    get last() {
      return last();
    },
  });
  Object.defineProperty(window, "playgate", { value: exposed, configurable: true });
}
