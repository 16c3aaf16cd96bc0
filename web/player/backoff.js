// How long to wait before the next try. Pure.

/**
 * @typedef {object} BackoffPlan
 * @property {number} firstMs
 * @property {number} factor
 * @property {number} maxMs
 * @property {number} spread share of the delay that is left to chance, 0-1
 */

/**
 * Short at its longest: a gateway that comes back finds its games still running, and their players at once.
 *
 * @type {BackoffPlan}
 */
export const SIGNALING_BACKOFF = { firstMs: 250, factor: 2, maxMs: 2_500, spread: 0.2 };
/** @type {BackoffPlan} */
export const MEDIA_BACKOFF = { firstMs: 500, factor: 2, maxMs: 10_000, spread: 0.2 };

/**
 * @param {BackoffPlan} plan
 * @param {number} attempt 0 for the first try after a loss
 * @param {number} chance 0-1, from Math.random
 * @returns {number} milliseconds
 */
export function backoffMs(plan, attempt, chance) {
  const full = Math.min(plan.maxMs, plan.firstMs * plan.factor ** Math.min(attempt, 30));
  return Math.round(full * (1 - plan.spread / 2 + plan.spread * chance));
}
