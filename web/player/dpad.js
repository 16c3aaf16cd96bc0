// Which directions a thumb on the on-screen pad means. Pure.

/** @typedef {"up" | "down" | "left" | "right"} Direction */

/** Share of the pad's radius in the middle that means nothing. */
const DEAD = 0.22;

/**
 * Eight sectors of 45 degrees.
 *
 * @param {number} dx from the middle, right positive, 1 at the rim
 * @param {number} dy down positive
 * @returns {Direction[]}
 */
export function directions(dx, dy) {
  if (Math.hypot(dx, dy) < DEAD) return [];
  const sector = Math.round(Math.atan2(dy, dx) / (Math.PI / 4));
  /** @type {Record<string, Direction[]>} */
  const table = {
    0: ["right"],
    1: ["right", "down"],
    2: ["down"],
    3: ["left", "down"],
    4: ["left"],
    "-4": ["left"],
    "-3": ["left", "up"],
    "-2": ["up"],
    "-1": ["right", "up"],
  };
  return table[String(sector)] ?? [];
}
