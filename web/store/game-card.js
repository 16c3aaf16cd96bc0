// One game of the catalogue: picture, words, one button.

import { api } from "../lib/api.js";
import { h } from "../lib/dom.js";

/**
 * @param {import("../lib/api.js").Game} game
 * @param {boolean} look ask whether there is something to continue
 * @returns {HTMLLIElement}
 */
export function gameCard(game, look) {
  const id = `game-${game.slug}`;
  const play = h("a", {
    class: "button primary",
    href: `/play/${encodeURIComponent(game.slug)}`,
    "aria-label": `Play ${game.title}`,
    text: "Play",
  });
  if (look) void offerContinue(game, play);
  return h(
    "li",
    { class: "game", data: { game: game.slug } },
    h(
      "article",
      { "aria-labelledby": id },
      h("a", { class: "shot", href: `/play/${encodeURIComponent(game.slug)}`, tabindex: "-1", "aria-hidden": "true" }, thumbnail(game)),
      h(
        "div",
        { class: "words" },
        h("div", { class: "names" }, h("h2", { id, text: game.title }), game.developer ? h("p", { class: "by", text: game.developer }) : null),
        play,
        h("p", { class: "about", text: game.description }),
        tags(game.tags),
      ),
    ),
  );
}

/**
 * @param {import("../lib/api.js").Game} game
 * @param {HTMLAnchorElement} play
 */
async function offerContinue(game, play) {
  try {
    const { slots } = await api.slots(game.slug);
    if (!slots.some((slot) => !slot.empty)) return;
    play.textContent = "Continue";
    play.setAttribute("aria-label", `Continue ${game.title}`);
    play.href = `/play/${encodeURIComponent(game.slug)}?start=continue`;
  } catch {
    // The button then says Play, which is true as well.
  }
}

/** @param {{ thumbnail: string | null, title: string }} game */
export function thumbnail(game) {
  if (game.thumbnail) return h("img", { src: game.thumbnail, alt: "", width: 640, height: 360, decoding: "async" });
  return h("span", { class: "no-shot", text: game.title.charAt(0) });
}

/** @param {string[]} names */
export function tags(names) {
  if (names.length === 0) return null;
  return h("ul", { class: "tags", "aria-label": "Tags" }, ...names.map((name) => h("li", { text: name })));
}
