// How the menu is opened, said once in a browser: at the first picture of the first game played, or watched, there.

const KEY = "playgate.menu-hint";

/** On a touch screen the handle, or the bar below the picture, is all there is. */
const byTouch = () => matchMedia("(pointer: coarse)").matches;

/**
 * In full screen Escape is the browser's, and the handle may have no place.
 *
 * @returns {string | null}
 */
export function fullscreenHint() {
  return byTouch() ? null : "Press Ctrl+Alt+M for the menu.";
}

/**
 * @param {boolean} plays
 * @returns {string | null} `null`: it was said before, or is plain to see
 */
export function menuHint(plays) {
  if (byTouch()) return null;
  try {
    if (localStorage.getItem(KEY)) return null;
    localStorage.setItem(KEY, "1");
  } catch {
    // Storage may be forbidden: then it is said every time.
  }
  return `Press Esc or the three dots ${plays ? "for the menu" : "to ask to play"}.`;
}
