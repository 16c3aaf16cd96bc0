// Keeps the screen on while the game is shown. Where the browser cannot, nothing is lost but that.

export class ScreenWake {
  /** @type {WakeLockSentinel | null} */
  #lock = null;
  #wanted = false;

  constructor() {
    // The lock falls when the page is hidden.
    document.addEventListener("visibilitychange", () => this.#wanted && void this.#take());
  }

  hold() {
    this.#wanted = true;
    void this.#take();
  }

  release() {
    this.#wanted = false;
    void this.#lock?.release().catch(() => {});
    this.#lock = null;
  }

  async #take() {
    if (document.hidden || !("wakeLock" in navigator)) return;
    try {
      this.#lock = await navigator.wakeLock.request("screen");
    } catch {
      // Low battery, or not allowed.
    }
  }
}
