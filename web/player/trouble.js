// Words for a connection that does not come: every address that was tried, and what to look at.

import { h } from "../lib/dom.js";

/**
 * @param {import("./connection.js").Trouble} trouble
 * @returns {{ title: string, text: string, advice: string[] }}
 */
export function troubleInWords({ where, tried, before }) {
  const still = "It keeps trying by itself.";
  if (where === "signaling") {
    return {
      title: before ? "The connection is gone" : "The server does not answer",
      text: `${before ? "The game is still running. " : ""}These addresses were tried over ${location.protocol === "https:" ? "HTTPS" : "HTTP"}. ${still}`,
      advice: [
        "Is this device online?",
        "A proxy between here and the server must let WebSockets through (the path ends in /signal).",
      ],
    };
  }
  return {
    title: before ? "The picture is gone" : "The picture does not come through",
    text: `The server answers, but no media arrives. ${tried.length > 0 ? "These addresses were tried over UDP." : "It named no address for media."} ${still}`,
    advice: [
      "A firewall or a Docker port mapping must let UDP through to these addresses, the number included.",
      "Addresses that only exist inside the server's network: whoever runs it sets --public-ip.",
      "This network may block UDP: try another one, or ask for a TURN server ([ice] in the configuration).",
    ],
  };
}

/**
 * @param {HTMLElement} panel
 * @param {import("./connection.js").Trouble | null} trouble
 */
export function showTrouble(panel, trouble) {
  panel.hidden = trouble === null;
  if (!trouble) {
    panel.replaceChildren();
    return;
  }
  const { title, text, advice } = troubleInWords(trouble);
  panel.replaceChildren(
    h("h2", { text: title }),
    h("p", { text }),
    h("ul", { class: "addresses", id: "tried" }, ...trouble.tried.map((address) => h("li", {}, h("code", { text: address })))),
    h("ul", {}, ...advice.map((line) => h("li", { text: line }))),
  );
}
