// Where the menu's handle has its place: in a strip of its own beside the picture, on the side where the picture stays largest.
// In full screen it has one only where the picture leaves room anyway.

/** Width of the strip in CSS pixels; the style sheet's `--edge`. */
export const EDGE_PX = 40;

/** @typedef {"side" | "top" | "none"} Edge */
/** @typedef {{ width: number, height: number }} Size */

/**
 * Pure.
 *
 * @param {Size} room
 * @param {Size} picture any unit
 * @param {boolean} fullscreen
 * @returns {Edge}
 */
export function edgeFor(room, picture, fullscreen) {
  const scale = (/** @type {number} */ width, /** @type {number} */ height) => Math.min(width / picture.width, height / picture.height);
  const side = scale(room.width - EDGE_PX, room.height);
  const top = scale(room.width, room.height - EDGE_PX);
  if (fullscreen && Math.max(side, top) < scale(room.width, room.height)) return "none";
  return side >= top ? "side" : "top";
}

/**
 * Keeps `data-edge` of the theatre right.
 *
 * @param {import("./theatre.js").Theatre} theatre
 * @param {() => import("./signaling.js").GameHints | null} game
 * @returns {() => void} stops
 */
export function keepEdge({ root, video }, game) {
  const stop = new AbortController();
  const options = { signal: stop.signal };
  const place = () => {
    const { width, height } = root.getBoundingClientRect();
    if (!width || !height) return;
    const picture = { width: video.videoWidth || game()?.width || 16, height: video.videoHeight || game()?.height || 9 };
    root.dataset.edge = edgeFor({ width, height }, picture, document.fullscreenElement !== null);
  };
  const observer = new ResizeObserver(place);
  observer.observe(root);
  video.addEventListener("resize", place, options);
  document.addEventListener("fullscreenchange", place, options);
  return () => {
    stop.abort();
    observer.disconnect();
  };
}
