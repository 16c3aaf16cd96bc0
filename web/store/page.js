// The catalogue, `/`.

import { api } from "../lib/api.js";
import { SignInNeeded, ensureSignedIn } from "../lib/auth.js";
import { byId, h } from "../lib/dom.js";
import { showAccount } from "../lib/header.js";
import { howToGetIn } from "../lib/how-to-get-in.js";
import { gameCard } from "./game-card.js";
import { runningNote } from "./running-note.js";

/** More games than this and a search box is worth its place. */
const SEARCH_FROM = 7;
/** A pause in typing before the search goes out, in milliseconds. */
const TYPING_MS = 200;

const main = byId("main");

/** @param {import("../lib/api.js").User} user */
async function showCatalogue(user) {
  showAccount(byId("account"), user);
  const grid = h("ul", { class: "games", id: "games" });
  const note = h("div", { id: "running" });
  const count = h("p", { role: "status", "aria-live": "polite", class: "muted", id: "status" });
  const more = h("button", { type: "button", class: "button", id: "more", hidden: true, text: "More games" });
  const search = h("input", { type: "search", id: "search", placeholder: "Search the games", "aria-label": "Search the games", hidden: true });
  main.replaceChildren(
    h("div", { class: "opening" }, h("h1", { text: "What do you want to play?" }), search),
    note,
    count,
    grid,
    more,
  );
  let page = 1;
  let asked = 0;
  /** @param {boolean} append */
  const load = async (append) => {
    const mine = ++asked;
    try {
      const { games, pagination } = await api.games({ search: search.value.trim(), page });
      if (mine !== asked) return;
      const cards = games.map((game, index) => gameCard(game, !append && index < 12));
      if (append) grid.append(...cards);
      else grid.replaceChildren(...cards);
      more.hidden = pagination.page >= pagination.totalPages;
      if (pagination.total >= SEARCH_FROM) search.hidden = false;
      count.textContent = games.length === 0 ? (search.value ? "Nothing by that name." : "No games yet.") : "";
    } catch (error) {
      if (mine === asked) count.textContent = String(/** @type {Error} */ (error).message);
    }
  };
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let typing;
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => {
      page = 1;
      void load(false);
    }, TYPING_MS);
  });
  more.addEventListener("click", () => {
    page += 1;
    void load(true);
  });
  await Promise.all([load(false), runningNote(note)]);
}

try {
  await showCatalogue(await ensureSignedIn());
} catch (error) {
  if (error instanceof SignInNeeded) main.replaceChildren(howToGetIn(error.providers));
  else main.replaceChildren(h("p", { class: "notice", role: "alert", id: "error", text: String(/** @type {Error} */ (error).message) }));
}
