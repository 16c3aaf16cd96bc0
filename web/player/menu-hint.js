// How the menu is opened, said once in a browser: at the first picture of the first game played, or watched, there.

const KEY = "playgate.menu-hint";

/**
 * @param {boolean} plays
 * @returns {string | null} `null`: it was said before, or is plain to see
 */
export function menuHint(plays) {
  // On a touch screen the handle, or the bar below the picture, is all there is.
  if (matchMedia("(pointer: coarse)").matches) return null;
  try {
    if (localStorage.getItem(KEY)) return null;
    localStorage.setItem(KEY, "1");
  } catch {
    // Storage may be forbidden: then it is said every time.
  }
  return `Press Esc or the three dots for the menu${plays ? "" : ", and to ask to play"}.`;
}
