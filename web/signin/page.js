// `/signin`: turns a token (`#token=`) or a one-time code (`#code=`) into the cookie, or asks for one.

import { api } from "../lib/api.js";
import { signInAddress } from "../lib/auth.js";
import { byId, h } from "../lib/dom.js";
import { returnPath } from "../lib/return-path.js";
import { readSecret } from "./secret.js";

const main = byId("main");
const hash = new URLSearchParams(location.hash.slice(1));
const back = returnPath(new URLSearchParams(location.search).get("return") ?? hash.get("return"), location.origin);
const brought = readSecret(location.hash);
// A secret must not stay in the address bar, nor in the history.
if (location.hash) history.replaceState(null, "", location.pathname + location.search);
window.addEventListener("hashchange", () => location.reload());

if (brought) await enter(brought).catch((error) => ask(error.message));
else await ask(null);

/** @param {import("./secret.js").Secret} secret */
async function enter(secret) {
  main.replaceChildren(h("section", { class: "notice card" }, h("h1", { text: "Signing in" }), h("p", { role: "status", text: "One moment." })));
  if (secret.kind === "code") await api.code(secret.value);
  else await api.signIn(secret.value);
  location.replace(back);
}

/** @param {string | null} problem */
async function ask(problem) {
  const providers = await api.providers().catch(() => null);
  const field = h("input", { id: "signin-secret", name: "secret", type: "text", autocomplete: "off", autocapitalize: "off", spellcheck: "false", required: true });
  const error = h("p", { id: "error", class: "error", role: "alert", hidden: problem === null, text: problem ?? "" });
  const form = h(
    "form",
    { id: "signin-form" },
    h("label", { class: "field" }, h("span", { text: providers?.code ? "Code, sign-in link or token" : "Sign-in link or token" }), field),
    h("button", { type: "submit", class: "button primary", text: "Sign in" }),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const secret = readSecret(field.value);
    if (secret) enter(secret).catch((reason) => ask(reason.message));
  });
  const guest = h("button", { type: "button", class: "button", id: "guest", text: "Play as a guest" });
  guest.addEventListener("click", () => api.guest().then(() => location.replace(back), (reason) => ask(reason.message)));
  main.replaceChildren(
    h(
      "section",
      { class: "notice card" },
      h("h1", { text: "Sign in to play" }),
      error,
      providers?.signInUrl ? h("p", {}, h("a", { class: "button primary", href: signInAddress(providers.signInUrl, location.origin + back), text: "Sign in" })) : null,
      providers?.guest ? h("p", {}, guest) : null,
      form,
      h("p", { class: "muted" }, "Whoever runs this server makes a sign-in link with ", h("code", { text: "playgate token mint --user NAME" }), "."),
    ),
  );
}
