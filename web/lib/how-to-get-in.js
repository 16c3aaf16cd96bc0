// What a person without a token sees where no silent way in exists.

import { h } from "./dom.js";

/**
 * @param {import("./api.js").Providers} providers
 * @returns {HTMLElement}
 */
export function howToGetIn(providers) {
  const here = location.pathname + location.search;
  return h(
    "section",
    { class: "notice card", id: "how-to-get-in" },
    h("h1", { text: "Sign in to play" }),
    h("p", { text: "Sign in to continue. Guests aren't allowed." }),
    h(
      "p",
      {},
      "Whoever runs this server can make you a sign-in link with one command:",
    ),
    h("pre", {}, h("code", { text: "playgate token mint --user NAME" })),
    h(
      "p",
      {},
      h("a", {
        class: "button",
        id: "go-sign-in",
        href: `/signin?return=${encodeURIComponent(here)}`,
        text: providers.code ? "Enter the code or the token" : "I have a token",
      }),
    ),
  );
}
