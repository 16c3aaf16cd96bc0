// Wheel events in 1/120 notches. Pure, keeps what is left below one step.

const PIXELS_PER_NOTCH = 100;
const LINES_PER_NOTCH = 3;

export class WheelScale {
  #x = 0;
  #y = 0;

  /**
   * @param {{ deltaX: number, deltaY: number, deltaMode: number }} event
   * @returns {{ dx: number, dy: number } | null} `null` while less than one step has gathered
   */
  take(event) {
    const perNotch = event.deltaMode === 0 ? PIXELS_PER_NOTCH : event.deltaMode === 1 ? LINES_PER_NOTCH : 1;
    this.#x += (event.deltaX / perNotch) * 120;
    this.#y += (event.deltaY / perNotch) * 120;
    const dx = Math.trunc(this.#x);
    const dy = Math.trunc(this.#y);
    if (dx === 0 && dy === 0) return null;
    this.#x -= dx;
    this.#y -= dy;
    return { dx, dy };
  }
}
