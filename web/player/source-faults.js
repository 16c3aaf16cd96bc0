// What is wrong with the source of the video, for the person in front of it: below the progress while there is no picture, as
// a notice once while there is one. The cause comes from the gateway, for whoever runs the source.

/** @typedef {import("../lib/api.js").SourceFault} SourceFault */

/** Faults with which a picture is shown all the same. */
const SHOWN_ANYWAY = ["b_frames"];

/**
 * @param {SourceFault[]} faults
 * @returns {string | null} why there is no picture
 */
export function whyNoPicture(faults) {
  const fault = faults.find(({ code }) => !SHOWN_ANYWAY.includes(code));
  return fault ? `This video can't be shown. ${fault.message}` : null;
}

/**
 * @param {SourceFault[]} faults
 * @returns {string | null} what is to be expected of the picture
 */
export function whatOfThePicture(faults) {
  const fault = faults.find(({ code }) => SHOWN_ANYWAY.includes(code));
  return fault ? `This video may stutter. ${fault.message}` : null;
}

export class SourceFaults {
  #element;
  #notice;
  /** @type {SourceFault[]} */
  #faults = [];
  #playing = false;
  /** @type {string | null} */
  #noticed = null;

  /**
   * @param {HTMLElement} element
   * @param {(words: string) => void} notice
   */
  constructor(element, notice) {
    this.#element = element;
    this.#notice = notice;
  }

  /** Words about the picture were shown. */
  get noticed() {
    return this.#noticed !== null;
  }

  /** @param {SourceFault[]} faults all there are now */
  tell(faults) {
    this.#faults = faults;
    this.#show();
  }

  /** @param {boolean} playing whether there is a picture */
  playing(playing) {
    if (playing === this.#playing) return;
    this.#playing = playing;
    this.#show();
  }

  #show() {
    const missing = this.#playing ? null : whyNoPicture(this.#faults);
    // Said again it would be read out again.
    if (this.#element.textContent !== (missing ?? "")) this.#element.textContent = missing ?? "";
    this.#element.hidden = missing === null;
    const expected = this.#playing ? whatOfThePicture(this.#faults) : null;
    if (expected && expected !== this.#noticed) this.#notice(expected);
    this.#noticed = expected ?? this.#noticed;
  }
}
