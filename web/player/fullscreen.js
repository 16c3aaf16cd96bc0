// Full screen of the whole theatre, so that its controls and dialogs stay visible.

/** @param {HTMLElement} element */
export function canFullscreen(element) {
  return document.fullscreenEnabled === true && typeof element.requestFullscreen === "function";
}

/** @param {HTMLElement} element */
export async function toggleFullscreen(element) {
  try {
    if (document.fullscreenElement) await document.exitFullscreen();
    else await element.requestFullscreen({ navigationUI: "hide" });
  } catch {
    // Refused: the game goes on as it was.
  }
}
