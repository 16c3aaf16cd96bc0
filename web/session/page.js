// One session, `/session/{id}/`: for its owner (cookie), for invited players and spectators (`#token=`).

import { ApiError, api, useToken } from "../lib/api.js";
import { SignInNeeded, ensureSignedIn } from "../lib/auth.js";
import { byId, h } from "../lib/dom.js";
import { showAccount } from "../lib/header.js";
import { howToGetIn } from "../lib/how-to-get-in.js";
import { endingPanel } from "../player/ending.js";
import { Player } from "../player/player.js";
import { insecureNotice } from "../player/missing.js";
import { isGuest } from "../player/save-words.js";
import { isEnded } from "../player/session-poller.js";
import { setState } from "../player/state.js";
import { forgetGrant, roleOf, takeGrant } from "./grant.js";

const main = byId("main");
const sessionId = decodeURIComponent(location.pathname.split("/")[2] ?? "");
const grant = takeGrant(sessionId);
let guest = false;

setState("idle");
useToken(grant);
// A link opened in a tab that already shows this session: the new grant counts.
window.addEventListener("hashchange", () => location.reload());
try {
  await open();
} catch (error) {
  if (error instanceof SignInNeeded) main.replaceChildren(howToGetIn(error.providers));
  else refuse(error);
}

async function open() {
  if (!grant) {
    const user = await ensureSignedIn();
    guest = isGuest(user.id);
    showAccount(byId("account"), user);
  }
  const openedAt = performance.now();
  const known = api.status(sessionId);
  const player = new Player({
    place: byId("theatre-place"),
    // Without a status there is nothing to end: that is told as a refusal.
    onEnd: (outcome) => void known.then((status) => fall(status, outcome), () => {}),
  });
  // Signaling, ICE and DTLS take longer than the status: neither waits for the other.
  player.prepare({ title: "", poster: null, clickedAt: openedAt });
  player.join({ sessionId, token: grant, owner: false, fresh: false, plays: roleOf(grant) !== "spectator" });
  const status = await known.catch((error) => {
    player.dismiss();
    throw error;
  });
  if (isEnded(status.status)) {
    player.dismiss();
    document.body.classList.add("showing");
    setState(status.status === "error" ? "failed" : "ended");
    fall(status, { reason: status.endReason, detail: status.endDetail, report: null, failed: status.status === "error", save: status.save });
    return;
  }
  player.named(status.gameTitle);
  void api.thumbnail(status.gameSlug).then((address) => player.poster(address));
  if (!grant) {
    // Only the owner may see the invitations: whoever may is the owner.
    api.grants(sessionId).then(() => player.ownedBy(true), () => {});
  }
  const insecure = insecureNotice();
  if (insecure) player.notice(insecure);
}

/**
 * @param {import("../lib/api.js").SessionStatus} status
 * @param {import("../player/player.js").Outcome} outcome
 */
function fall(status, { reason, detail, report, failed, save }) {
  // Taken over by another window, left while it may still run, or full for now: this page may come back.
  const here = reason === "replaced" || reason === "left" || reason === "full";
  const again = here ? location.pathname : grant ? null : `/play/${encodeURIComponent(status.gameSlug)}`;
  const againText = reason === "left" ? "Resume" : reason === "full" ? "Try again" : here ? "Play here" : "Play again";
  const panel = endingPanel({ reason, detail, report, failed, save, guest, againHref: again, againText });
  byId("theatre").append(panel);
  panel.focus({ preventScroll: true });
}

/** @param {unknown} error */
function refuse(error) {
  const refused = error instanceof ApiError && (error.status === 401 || error.status === 404);
  if (refused) forgetGrant(sessionId);
  setState("failed");
  // It has words of its own, by the same names.
  byId("theatre-place").replaceChildren();
  const title = !refused ? "Something went wrong" : grant ? "This invitation link isn't valid" : "This session has ended";
  const text = !refused
    ? String(/** @type {Error} */ (error).message)
    : grant
      ? "It was revoked, it has expired, or the session has ended. Ask for a new link."
      : "Or you don't have access to it.";
  main.replaceChildren(
    h("section", { class: "notice card" }, h("h1", { text: title }), h("p", { id: "error", role: "alert", text }), h("a", { class: "button", href: "/", text: "Back to the games" })),
  );
}
