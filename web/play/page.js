// The play page, `/play/{slug}`: sign in, show the launch card, launch, and hand over to the player at once, while
// the session is still starting.

import { ApiError, api } from "../lib/api.js";
import { SignInNeeded, ensureSignedIn, signedIn } from "../lib/auth.js";
import { byId, h } from "../lib/dom.js";
import { showAccount } from "../lib/header.js";
import { howToGetIn } from "../lib/how-to-get-in.js";
import { when } from "../lib/words.js";
import { endingPanel } from "../player/ending.js";
import { Player } from "../player/player.js";
import { isGuest } from "../player/save-words.js";
import { setState } from "../player/state.js";
import { showBusy } from "./busy.js";
import { launchCard } from "./launch-card.js";
import { remember, remembered } from "./remembered.js";
import { latestSlot, slotList } from "./slots.js";

/** @typedef {import("../lib/api.js").Slot} Slot */

const main = byId("main");
const slug = decodeURIComponent(location.pathname.split("/")[2] ?? "");
/** @type {Player | null} */
let player = null;
/** @type {Slot[] | null} */
let slots = null;
let guest = false;

setState("idle");
try {
  await open();
} catch (error) {
  if (error instanceof SignInNeeded) main.replaceChildren(howToGetIn(error.providers));
  else complain(error);
}

async function open() {
  const user = await ensureSignedIn();
  guest = isGuest(user.id);
  showAccount(byId("account"), user);
  const [game, active] = await Promise.all([api.game(slug), api.active(), refreshSlots(null)]);
  document.title = `${game.title} – Playgate`;
  const card = launchCard(game);
  main.replaceChildren(card.root);
  showSlots(game, card);
  card.play.addEventListener("click", () => void play(game, card, choice(null)));
  const running = active.sessions[0];
  const start = new URLSearchParams(location.search).get("start");
  if (start) history.replaceState(null, "", location.pathname);
  if (running && running.sessionId === remembered(slug)) join(game, card, running.sessionId);
  else if (running) offerRunning(game, card, running);
  else if (start === "continue") void play(game, card, choice(null));
}

/** @param {{ game: import("../lib/api.js").Game, card: import("./launch-card.js").LaunchCard } | null} shown */
async function refreshSlots(shown) {
  try {
    slots = (await api.slots(slug)).slots;
  } catch {
    // Play still works: the server then picks the slot.
    slots = null;
  }
  if (shown) showSlots(shown.game, shown.card);
}

/**
 * @param {import("../lib/api.js").Game} game
 * @param {import("./launch-card.js").LaunchCard} card
 */
function showSlots(game, card) {
  const latest = latestSlot(slots ?? []);
  card.play.textContent = latest ? "Continue" : "Play";
  card.note.textContent = latest ? `Save ${latest.slot}, ${when(latest.updatedAt)}` : "";
  if (!slots) {
    card.saves.replaceChildren();
    return;
  }
  card.saves.replaceChildren(
    slotList(slots, {
      pick: (slot) => void play(game, card, choice(slot)),
      changed: () => refreshSlots({ game, card }),
      failed: (message) => showError(card, message),
    }),
  );
}

/**
 * What to send for a slot; `null`: the one played last, else the server's choice.
 *
 * @param {Slot | null} slot
 */
function choice(slot) {
  const chosen = slot ?? latestSlot(slots ?? []);
  return chosen ? { gameSlug: slug, saveSlotId: chosen.id } : { gameSlug: slug };
}

/**
 * @param {import("../lib/api.js").Game} game
 * @param {import("./launch-card.js").LaunchCard} card
 * @param {{ gameSlug: string, saveSlotId?: string }} body
 */
async function play(game, card, body) {
  if (player) return;
  const clickedAt = performance.now();
  const launched = signedIn(() => api.launch(body));
  card.error.hidden = true;
  card.busy.replaceChildren();
  const shown = raise(game, card, clickedAt);
  try {
    const { sessionId } = await launched;
    remember(slug, sessionId);
    shown.join({ sessionId, token: null, owner: true, fresh: true });
  } catch (error) {
    lower(shown);
    await explain(error, game, card);
  }
}

/**
 * @param {import("../lib/api.js").Game} game
 * @param {import("./launch-card.js").LaunchCard} card
 * @param {string} sessionId
 */
function join(game, card, sessionId) {
  if (player) return;
  remember(slug, sessionId);
  raise(game, card, performance.now()).join({ sessionId, token: null, owner: true, fresh: false });
}

/**
 * The curtain: the player's theatre takes the page.
 *
 * @param {import("../lib/api.js").Game} game
 * @param {import("./launch-card.js").LaunchCard} card
 * @param {number} clickedAt
 */
function raise(game, card, clickedAt) {
  const made = new Player({ place: byId("theatre-place"), onEnd: (outcome) => fall(outcome) });
  player = made;
  card.root.inert = true;
  made.prepare({ title: game.title, poster: game.thumbnail, clickedAt });
  made.warm();
  return made;
}

/** @param {Player} shown */
function lower(shown) {
  shown.dismiss();
  byId("theatre-place").replaceChildren();
  player = null;
  const card = /** @type {HTMLElement | null} */ (main.firstElementChild);
  if (card) card.inert = false;
}

/** @param {import("../player/player.js").Outcome} outcome */
function fall({ reason, detail, report, failed, save }) {
  remember(slug, null);
  const panel = endingPanel({ reason, detail, report, failed, save, guest, againHref: location.pathname, againText: reason === "left" ? "Resume" : failed ? "Try again" : "Play again" });
  byId("theatre").append(panel);
  panel.focus({ preventScroll: true });
}

/**
 * @param {unknown} error
 * @param {import("../lib/api.js").Game} game
 * @param {import("./launch-card.js").LaunchCard} card
 */
async function explain(error, game, card) {
  if (error instanceof ApiError && error.code === "session_active") {
    const active = await api.active().catch(() => null);
    const running = active?.sessions[0];
    if (running) {
      offerRunning(game, card, running);
      return;
    }
  }
  showError(card, error instanceof Error ? error.message : "Something went wrong.");
  card.play.focus();
}

/**
 * @param {import("../lib/api.js").Game} game
 * @param {import("./launch-card.js").LaunchCard} card
 * @param {import("../lib/api.js").ActiveSession} running
 */
function offerRunning(game, card, running) {
  const here = running.gameSlug === slug;
  card.play.hidden = true;
  card.note.hidden = true;
  showBusy(card.busy, running, {
    join: () => {
      if (here) join(game, card, running.sessionId);
      else location.assign(`/session/${encodeURIComponent(running.sessionId)}/`);
    },
    stopped: () => {
      card.play.hidden = false;
      card.note.hidden = false;
      void refreshSlots({ game, card }).then(() => card.play.focus());
    },
  });
}

/** @param {import("./launch-card.js").LaunchCard} card @param {string} message */
function showError(card, message) {
  card.error.textContent = message;
  card.error.hidden = false;
}

/** @param {unknown} error */
function complain(error) {
  const gone = error instanceof ApiError && error.status === 404;
  main.replaceChildren(
    h(
      "section",
      { class: "notice card" },
      h("h1", { text: gone ? "No such game" : "Something went wrong" }),
      h("p", { id: "error", role: "alert", text: gone ? "There is no game at this address." : String(/** @type {Error} */ (error).message) }),
      h("a", { class: "button", href: "/", text: "Back to the games" }),
    ),
  );
}
