// From a point of the page to a point of the picture, whatever bars are left and right of it or above and below. Pure.

/** @typedef {{ left: number, top: number, width: number, height: number }} Box */

/**
 * Where `object-fit: contain` draws a picture inside a box.
 *
 * @param {Box} box
 * @param {number} width of the picture, any unit
 * @param {number} height
 * @returns {Box}
 */
export function pictureBox(box, width, height) {
  if (width <= 0 || height <= 0 || box.width <= 0 || box.height <= 0) return box;
  const scale = Math.min(box.width / width, box.height / height);
  const w = width * scale;
  const h = height * scale;
  return { left: box.left + (box.width - w) / 2, top: box.top + (box.height - h) / 2, width: w, height: h };
}

/**
 * @param {Box} picture
 * @param {number} clientX
 * @param {number} clientY
 * @returns {{ x: number, y: number, inside: boolean }} 0-65535 over the picture, clamped to it
 */
export function toPicture(picture, clientX, clientY) {
  const x = (clientX - picture.left) / picture.width;
  const y = (clientY - picture.top) / picture.height;
  const inside = x >= 0 && x < 1 && y >= 0 && y < 1;
  return { x: scaled(x), y: scaled(y), inside };
}

/**
 * The receiver divides the same way: of a side of n pixels, place p is the pixel floor(p * n / 65536).
 *
 * @param {number} share
 */
function scaled(share) {
  return Number.isFinite(share) ? Math.max(0, Math.min(65535, Math.floor(share * 65536))) : 0;
}
