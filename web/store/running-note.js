// "Your game is still running", above the catalogue.

import { api } from "../lib/api.js";
import { sureToEnd } from "../lib/dialog.js";
import { h } from "../lib/dom.js";
import { when } from "../lib/words.js";

/** @param {HTMLElement} place */
export async function runningNote(place) {
  try {
    const { sessions } = await api.active();
    const running = sessions[0];
    if (!running) {
      place.replaceChildren();
      return;
    }
    const stop = h("button", { type: "button", class: "button small quiet", id: "stop-running", text: "End game" });
    const told = h("span", { text: `is still running, started ${when(running.startedAt)}.` });
    stop.addEventListener("click", async () => {
      if (!(await sureToEnd())) return;
      stop.disabled = true;
      told.textContent = "is being saved and closed…";
      try {
        await api.stop(running.sessionId);
        place.replaceChildren();
      } catch (error) {
        stop.disabled = false;
        told.textContent = String(/** @type {Error} */ (error).message);
      }
    });
    place.replaceChildren(
      h(
        "section",
        { class: "running-note", "aria-label": "Running game" },
        h("p", {}, h("strong", { text: running.gameTitle }), " ", told),
        h(
          "div",
          { class: "row" },
          h("a", { class: "button small primary", id: "join-running", href: `/session/${encodeURIComponent(running.sessionId)}/`, text: "Resume" }),
          stop,
        ),
      ),
    );
  } catch {
    place.replaceChildren();
  }
}
