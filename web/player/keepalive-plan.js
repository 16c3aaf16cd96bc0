// When to extend the idle lease, when to ask "still there?", how long is left. Pure: told the time, the last input and
// what the server said. An open tab that nobody touches never extends anything.

/** Between two extensions while somebody plays, in milliseconds. */
export const KEEPALIVE_EVERY_MS = 5 * 60_000;
/** Without input for this long: ask. */
export const ASK_AFTER_MS = 25 * 60_000;
/** The lease the contract sets (B-3). */
export const DEFAULT_LEASE_MS = 30 * 60_000;

export class KeepalivePlan {
  #lastInputAt;
  #lastSentAt;
  #leaseMs = DEFAULT_LEASE_MS;
  /** Server's end of the lease in milliseconds since its epoch. */
  #expiresAt = Number.NaN;

  /**
   * @param {number} now
   * @param {boolean} fresh the session was launched just now: its lease has just begun
   */
  constructor(now, fresh) {
    this.#lastInputAt = now;
    this.#lastSentAt = fresh ? now : Number.NEGATIVE_INFINITY;
  }

  /** @param {number} now */
  input(now) {
    this.#lastInputAt = now;
  }

  /**
   * The server told when the lease ends.
   *
   * @param {number} expiresAt milliseconds since the epoch
   * @param {number} serverNow
   * @param {boolean} renewed it was extended just now: the difference is the whole lease
   */
  lease(expiresAt, serverNow, renewed) {
    if (!Number.isFinite(expiresAt)) return;
    this.#expiresAt = expiresAt;
    if (renewed) this.#leaseMs = Math.max(1_000, expiresAt - serverNow);
  }

  /** @param {number} now the extension was sent */
  sent(now) {
    this.#lastSentAt = now;
  }

  /** Between two extensions: shorter where the lease is. */
  get everyMs() {
    return Math.min(KEEPALIVE_EVERY_MS, this.#leaseMs / 6);
  }

  /** Without input for this long, ask. */
  get askAfterMs() {
    return Math.min(ASK_AFTER_MS, (this.#leaseMs * 5) / 6);
  }

  /**
   * @param {number} now
   * @param {number} serverNow
   * @returns {{ send: boolean, ask: boolean, leftMs: number }} `leftMs` is NaN while the server has not said
   */
  decide(now, serverNow) {
    const playedSince = this.#lastInputAt > this.#lastSentAt;
    return {
      send: playedSince && now - this.#lastSentAt >= this.everyMs,
      ask: now - this.#lastInputAt >= this.askAfterMs,
      leftMs: this.#expiresAt - serverNow,
    };
  }
}
