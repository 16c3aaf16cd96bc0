// The game's pointer picture, as the pointer over the stage.

/**
 * @param {HTMLElement} stage
 * @param {import("./signaling.js").CursorMessage} cursor
 */
export function showCursor(stage, { visible, png, hotspotX, hotspotY }) {
  const safe = png && /^[A-Za-z0-9+/=]+$/.test(png) ? png : null;
  const shown = safe ? `url("data:image/png;base64,${safe}") ${hotspotX} ${hotspotY}, default` : "default";
  stage.style.cursor = visible ? shown : "none";
}
