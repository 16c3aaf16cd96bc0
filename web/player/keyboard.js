// The physical keyboard, while the stage has the focus. Escape opens the menu instead of reaching the game, so that the focus
// is never trapped; the menu has a button that sends it. Ctrl+Alt+M opens the menu in full screen, where browsers keep Escape.

import { USAGE, belongsToBrowser, opensMenu, usageOf } from "./keys.js";

/**
 * @param {HTMLElement} stage
 * @param {import("./input-sender.js").InputSender} sender
 * @param {() => void} menu moves the focus out of the stage and into the menu
 * @returns {() => void} stops listening
 */
export function listenKeyboard(stage, sender, menu) {
  const stop = new AbortController();
  const { signal } = stop;

  stage.addEventListener(
    "keydown",
    (event) => {
      if (event.isComposing || belongsToBrowser(event)) return;
      const usage = usageOf(event);
      if (usage === undefined) return;
      event.preventDefault();
      if (usage === USAGE.escape || opensMenu(event)) {
        sender.releaseAll();
        menu();
        return;
      }
      // A repeat of a key that is already down says nothing new; one that was let go at a reconnect comes down again.
      sender.key(usage, true);
    },
    { signal },
  );

  // On the window: a key pressed on the stage may come up elsewhere.
  window.addEventListener(
    "keyup",
    (event) => {
      const usage = usageOf(event);
      if (usage === undefined) return;
      if (sender.holdsKey(usage)) event.preventDefault();
      // macOS reports no other key's release while Meta is down.
      if (event.key === "Meta") sender.releaseAll();
      else sender.key(usage, false);
    },
    { signal },
  );

  stage.addEventListener("blur", () => sender.releaseAll(), { signal });
  return () => stop.abort();
}
