// A session of this user already runs (409 session_active): join it, or stop it.

import { api } from "../lib/api.js";
import { sureToEnd } from "../lib/dialog.js";
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
  const join = h("button", { type: "button", class: "button primary", id: "join-running", text: "Resume" });
  const stop = h("button", { type: "button", class: "button", id: "stop-running", text: "End game" });
  const told = h("p", { role: "status", text: `You started it ${when(running.startedAt)}. You can run one game at a time.` });
  join.addEventListener("click", on.join);
  stop.addEventListener("click", async () => {
    if (!(await sureToEnd())) return;
    join.disabled = stop.disabled = true;
    told.textContent = "Saving and closing it…";
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
