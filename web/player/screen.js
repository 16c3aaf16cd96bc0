// Puts a view of the play on the theatre: the page's state, what is being done, the banner, the trouble. Decides nothing.

import { progressInWords } from "../lib/words.js";
import { setState } from "./state.js";
import { TroublePanel } from "./trouble.js";

/** @typedef {import("./play-state.js").View} View */

/** @type {Record<NonNullable<View["banner"]>, string>} */
const BANNERS = {
  stopping: "Saving and closing the game",
  ending: "The game is being saved and closed",
  no_video: "No video from the game right now. It continues by itself.",
  reconnecting: "Connection lost. Reconnecting",
  reconnecting_running: "Reconnecting. Your game is still running.",
};

export class Screen {
  #theatre;
  #captions;
  #trouble;
  #onProgress;

  /**
   * @param {import("./theatre.js").Theatre} theatre
   * @param {import("./captions.js").Captions} captions
   * @param {object} on
   * @param {() => void} on.tryNow
   * @param {() => void} on.leave
   * @param {(progress: { step: string, percent: number | null, words: string }) => void} on.progress
   */
  constructor(theatre, captions, { tryNow, leave, progress }) {
    this.#theatre = theatre;
    this.#captions = captions;
    this.#onProgress = progress;
    this.#trouble = new TroublePanel(theatre.trouble, { tryNow, leave });
  }

  /** @param {View} view */
  show({ page, waiting, banner, trouble }) {
    setState(page);
    this.#captions.banner(banner && BANNERS[banner]);
    this.#trouble.show(trouble);
    this.#theatre.curtain.hidden = waiting === null;
    if (!waiting) return;
    const words = progressInWords(waiting);
    this.#captions.say(words, waiting.percent);
    this.#onProgress({ ...waiting, words });
  }
}
