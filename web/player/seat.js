// Whether this viewer plays or watches: where input comes from and goes, what the stage is to assistive technology, the
// on-screen pad.

import { Gamepads } from "./gamepad.js";
import { listenKeyboard } from "./keyboard.js";
import { listenPointer } from "./pointer.js";
import { listenTextEntry } from "./text-entry.js";
import { showTouchpad } from "./touchpad.js";

export class Seat {
  #theatre;
  #sender;
  #game;
  #gamepads;
  /** @type {import("./peer.js").Channels | null} open, whether we play or not */
  #channels = null;
  #plays = false;
  /** @type {(() => void)[]} */
  #undo = [];

  /**
   * @param {import("./theatre.js").Theatre} theatre
   * @param {import("./input-sender.js").InputSender} sender
   * @param {() => import("./signaling.js").GameHints | null} game
   */
  constructor(theatre, sender, game) {
    this.#theatre = theatre;
    this.#sender = sender;
    this.#game = game;
    this.#gamepads = new Gamepads(sender, () => game()?.pads ?? 1);
  }

  get plays() {
    return this.#plays;
  }

  get gamepads() {
    return this.#gamepads;
  }

  /** @param {boolean} plays as far as is known before the gateway has said so */
  expect(plays) {
    this.#plays = plays;
  }

  /** @param {boolean} plays from now on, or only watches */
  take(plays) {
    const { badge, stage, pad, escape, keyboard } = this.#theatre;
    this.#plays = plays;
    badge.hidden = plays;
    escape.hidden = keyboard.hidden = !plays;
    stage.setAttribute("role", plays ? "application" : "img");
    if (plays) {
      stage.setAttribute("aria-roledescription", "stage");
      stage.setAttribute("aria-label", "The game. Keys go to it; Escape opens the menu.");
    } else {
      stage.removeAttribute("aria-roledescription");
      stage.setAttribute("aria-label", `Picture of ${this.#game()?.title ?? "the game"}. You are watching.`);
      document.exitPointerLock?.();
    }
    const coarse = matchMedia("(pointer: coarse)").matches;
    showTouchpad(pad, plays && coarse ? (this.#game()?.touch ?? []) : [], this.#sender);
    this.#bind();
    this.#gamepads.look();
  }

  /** @param {import("./peer.js").Channels | null} channels `null`: input has nowhere to go */
  connect(channels) {
    this.#channels = channels;
    this.#bind();
  }

  /** @param {() => void} menu the menu's shortcut was pressed */
  listen(menu) {
    const { stage, video, textEntry } = this.#theatre;
    this.#undo.push(listenKeyboard(stage, this.#sender, menu));
    this.#undo.push(listenPointer({ stage, video, sender: this.#sender, game: this.#game }));
    listenTextEntry(textEntry, this.#sender);
  }

  stop() {
    for (const undo of this.#undo.splice(0)) undo();
    this.#gamepads.stop();
  }

  /** Input has somewhere to go while we play and the channels are open. */
  #bind() {
    const channels = this.#plays ? this.#channels : null;
    if (!channels) this.#sender.releaseAll();
    this.#sender.bind(channels);
    if (channels) this.#gamepads.announce();
  }
}
