// `/docs`: shows `/openapi.json`, which is public. Loads nothing from elsewhere and sends nothing anywhere.

import { byId, h } from "../lib/dom.js";
import { operationCard } from "./operation.js";
import { prose } from "./prose.js";
import { groups } from "./schema.js";

const main = byId("main");

/** @param {string} name */
const anchor = (name) => `part-${name.toLowerCase().replace(/[^a-z0-9]+/g, "-")}`;

/** @param {import("./schema.js").Json} description */
function show(description) {
  const parts = groups(description);
  const contents = h(
    "nav",
    { class: "contents", "aria-label": "Parts of the API" },
    h("ul", {}, ...parts.map((part) => h("li", {}, h("a", { href: `#${anchor(part.name)}`, text: part.name }), h("span", { class: "muted", text: String(part.operations.length) })))),
  );
  const sections = parts.map((part) =>
    h(
      "section",
      { class: "part", id: anchor(part.name) },
      h("h2", { text: part.name }),
      part.description ? prose(part.description) : null,
      ...part.operations.map((one) => operationCard(description, one)),
    ),
  );
  const opening = h(
    "div",
    { class: "opening" },
    h("h1", { text: "The API" }),
    prose(description.info?.description ?? ""),
    h("p", { class: "muted", text: `Version ${description.info?.version ?? ""}` }),
  );
  main.replaceChildren(opening, h("div", { class: "columns" }, contents, h("div", { class: "parts" }, ...sections)));
  openNamed();
}

/** A link to an operation opens it. */
function openNamed() {
  const named = location.hash.length > 1 ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null;
  if (named instanceof HTMLDetailsElement) named.open = true;
  named?.scrollIntoView();
}

try {
  const answer = await fetch("/openapi.json");
  if (!answer.ok) throw new Error("The description could not be loaded. Please try again.");
  show(await answer.json());
  addEventListener("hashchange", openNamed);
  document.documentElement.dataset.state = "ready";
} catch (error) {
  main.replaceChildren(h("p", { class: "notice", role: "alert", id: "error", text: String(/** @type {Error} */ (error).message) }));
}
