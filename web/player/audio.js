// The sound: its own element, muted until the person has touched the page, then on at once.

const VOLUME_KEY = "playgate.volume";

export class Sound {
  #element;
  #wantMuted = false;
  #unlocked = navigator.userActivation?.hasBeenActive ?? false;
  #stop = new AbortController();

  /**
   * @param {HTMLAudioElement} element
   * @param {(waiting: boolean) => void} onWaiting there is sound, but the browser wants a click first
   */
  constructor(element, onWaiting) {
    this.#element = element;
    this.onWaiting = onWaiting;
    element.volume = remembered();
    element.muted = true;
    const unlock = () => this.unlock();
    const options = { signal: this.#stop.signal, capture: true, passive: true };
    for (const gesture of ["pointerdown", "pointerup", "keydown", "touchend", "click"]) {
      document.addEventListener(gesture, unlock, options);
    }
  }

  get muted() {
    return this.#wantMuted;
  }

  get volume() {
    return this.#element.volume;
  }

  /** @param {boolean} muted */
  mute(muted) {
    this.#wantMuted = muted;
    if (!muted) this.#unlocked = true;
    void this.#play();
  }

  /** @param {number} volume 0-1 */
  setVolume(volume) {
    this.#element.volume = Math.max(0, Math.min(1, volume));
    try {
      localStorage.setItem(VOLUME_KEY, String(this.#element.volume));
    } catch {
      // Storage may be forbidden: the volume is then forgotten.
    }
    if (volume > 0) this.mute(false);
  }

  /** @param {MediaStream} stream */
  attach(stream) {
    this.#element.srcObject = stream;
    void this.#play();
  }

  /** Called in a gesture: from here on sound is allowed. */
  unlock() {
    // Escape and modifier keys are no gesture to the browser.
    if (navigator.userActivation && !navigator.userActivation.hasBeenActive) return;
    this.#unlocked = true;
    if (this.#element.srcObject && (this.#element.muted !== this.#wantMuted || this.#element.paused)) void this.#play();
  }

  stop() {
    this.#stop.abort();
    this.#element.srcObject = null;
    this.onWaiting(false);
  }

  async #play() {
    const element = this.#element;
    element.muted = this.#wantMuted || !this.#unlocked;
    if (!element.srcObject) return;
    try {
      await element.play();
    } catch {
      // Refused: silent now, and on at the next gesture.
      this.#unlocked = false;
      element.muted = true;
      await element.play().catch(() => {});
    }
    this.onWaiting(!this.#unlocked && !this.#wantMuted);
  }
}

function remembered() {
  try {
    const value = Number.parseFloat(localStorage.getItem(VOLUME_KEY) ?? "");
    return value >= 0 && value <= 1 ? value : 1;
  } catch {
    return 1;
  }
}
