// What is seen before Play is pressed: the game's picture, its words, one big button, the saves below.

import { h } from "../lib/dom.js";
import { insecureNotice } from "../player/missing.js";
import { tags, thumbnail } from "../store/game-card.js";

/**
 * @typedef {object} LaunchCard
 * @property {HTMLElement} root
 * @property {HTMLButtonElement} play
 * @property {HTMLElement} note under the button: what it continues
 * @property {HTMLElement} saves
 * @property {HTMLElement} busy
 * @property {HTMLElement} error
 */

/**
 * @param {import("../lib/api.js").Game} game
 * @returns {LaunchCard}
 */
export function launchCard(game) {
  const play = h("button", { type: "button", id: "play", class: "button primary big", text: "Play" });
  const note = h("p", { class: "muted", id: "play-note" });
  const saves = h("div", { id: "saves-place" });
  const busy = h("div", { id: "busy-place" });
  const error = h("p", { id: "launch-error", class: "error", role: "alert", hidden: true });
  const insecure = insecureNotice();
  const root = h(
    "div",
    { class: "launch" },
    h("div", { class: "shot" }, thumbnail(game)),
    h(
      "div",
      { class: "words" },
      h("h1", { text: game.title }),
      game.developer ? h("p", { class: "by", text: game.developer }) : null,
      h("p", { class: "about", text: game.description }),
      tags(game.tags),
      error,
      busy,
      h("div", { class: "row" }, play, note),
      insecure ? h("p", { class: "aside", id: "insecure", text: insecure }) : null,
    ),
    saves,
  );
  return { root, play, note, saves, busy, error };
}
