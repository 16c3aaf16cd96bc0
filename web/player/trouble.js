// Words for a connection that does not come up: every address that was tried, what to look at, and two ways on.

import { h } from "../lib/dom.js";

/** @typedef {NonNullable<import("./play-state.js").View["trouble"]>} Trouble */

/**
 * @param {Trouble} trouble
 * @returns {{ title: string, text: string, advice: string[] }}
 */
export function troubleInWords({ where, tried, before, running }) {
  const retry = "Trying again automatically.";
  if (where === "signaling") {
    return {
      title: before ? "Connection lost" : "The server doesn't answer",
      text: `${before ? "The server doesn't answer. " : ""}${retry} Tried over ${location.protocol === "https:" ? "HTTPS" : "HTTP"}:`,
      advice: [
        "Check that this device is online.",
        "A proxy between you and the server must let WebSockets through (the path ends in /signal).",
      ],
    };
  }
  const game = running && before ? " and your game is still running" : "";
  return {
    title: before ? "Video connection lost" : "Can't receive video",
    text: `The server answers${game}, but no video arrives. ${retry} ${tried.length > 0 ? "Tried over UDP:" : "The server named no address for video."}`,
    advice: [
      "A firewall or a Docker port mapping must let UDP through to these addresses and ports.",
      "Addresses that exist only inside the server's network: whoever runs the server sets --public-ip.",
      "This network may block UDP: try another network, or ask for a TURN server ([ice] in the configuration).",
    ],
  };
}

/** The panel over the picture. Its parts stay in place while it is shown: a button keeps its focus, words are read out once. */
export class TroublePanel {
  #panel;
  #title = h("h2", { id: "trouble-title" });
  #text = h("p");
  #tried = h("ul", { class: "addresses", id: "tried" });
  #advice = h("ul");
  #said = "";

  /**
   * @param {HTMLElement} panel
   * @param {{ tryNow: () => void, leave: () => void }} on
   */
  constructor(panel, { tryNow, leave }) {
    this.#panel = panel;
    panel.replaceChildren(
      this.#title,
      this.#text,
      this.#tried,
      h(
        "div",
        { class: "row" },
        h("button", { type: "button", class: "button primary", id: "try-now", onclick: tryNow, text: "Try now" }),
        h("button", { type: "button", class: "button", id: "leave", onclick: leave, text: "Leave" }),
      ),
      this.#advice,
    );
  }

  /** @param {Trouble | null} trouble */
  show(trouble) {
    const said = trouble ? JSON.stringify(trouble) : "";
    if (said === this.#said) return;
    this.#said = said;
    if (trouble) {
      const { title, text, advice } = troubleInWords(trouble);
      this.#title.textContent = title;
      this.#text.textContent = text;
      this.#tried.replaceChildren(...trouble.tried.map((address) => h("li", {}, h("code", { text: address }))));
      this.#tried.hidden = trouble.tried.length === 0;
      this.#advice.replaceChildren(...advice.map((line) => h("li", { text: line })));
    }
    this.#panel.hidden = trouble === null;
  }
}
