// What the page is doing, for its style sheet and for tests: `data-state` of the root element and `window.playgate`.
// Read-only from outside.

/** @typedef {"idle" | "launching" | "connecting" | "playing" | "reconnecting" | "ended" | "failed"} PageState */

/** @type {PageState} */
let current = "idle";
/** @type {(state: PageState) => void} */
let watcher = () => {};

/** @param {PageState} state */
export function setState(state) {
  const changed = state !== current;
  current = state;
  document.documentElement.dataset.state = state;
  if (changed) watcher(state);
}

/** @param {(state: PageState) => void} tell told of every change; a page has one player, so the last one to ask is told */
export function watchState(tell) {
  watcher = tell;
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
