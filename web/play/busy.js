// A session of this user already runs (409 session_active): join it, or stop it.

import { api } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { when } from "../lib/words.js";

/**
 * @param {HTMLElement} place
 * @param {import("../lib/api.js").ActiveSession} running
 * @param {object} on
 * @param {() => void} on.join
 * @param {() => void} on.stopped
 */
export function showBusy(place, running, on) {
  const join = h("button", { type: "button", class: "button primary", id: "join-running", text: "Join it" });
  const stop = h("button", { type: "button", class: "button", id: "stop-running", text: "Stop it" });
  const told = h("p", { role: "status", text: `You started it ${when(running.startedAt)}. One game runs at a time.` });
  join.addEventListener("click", on.join);
  stop.addEventListener("click", async () => {
    join.disabled = stop.disabled = true;
    told.textContent = "Saving and stopping it…";
    try {
      await api.stop(running.sessionId);
      place.replaceChildren();
      on.stopped();
    } catch (error) {
      join.disabled = stop.disabled = false;
      told.textContent = String(/** @type {Error} */ (error).message);
    }
  });
  place.replaceChildren(
    h("section", { id: "busy", class: "notice", "aria-label": "Running game" }, h("h2", { text: `${running.gameTitle} is still running` }), told, h("div", { class: "row" }, join, stop)),
  );
}
