// The right end of the site's header: who is signed in, and the way out.

import { api } from "./api.js";
import { h } from "./dom.js";

/**
 * @param {HTMLElement} place
 * @param {import("./api.js").User} user
 */
export function showAccount(place, user) {
  const out = h("button", { type: "button", class: "button small quiet", id: "sign-out", text: "Sign out" });
  out.addEventListener("click", async () => {
    out.disabled = true;
    try {
      await api.signOut();
    } finally {
      location.assign("/signin");
    }
  });
  place.replaceChildren(h("span", { class: "who", text: user.name ?? "Guest" }), out);
}
