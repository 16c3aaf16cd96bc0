// What is shown when the curtain has fallen: why, the figures of a stop, and where to go.

import { h } from "../lib/dom.js";
import { duration, endInWords } from "../lib/words.js";
import { saveInWords } from "./save-words.js";

/**
 * @typedef {object} Ending
 * @property {string | null} reason
 * @property {string | null} detail the server's own sentence
 * @property {import("../lib/api.js").StopReport | null} report
 * @property {boolean} failed it never ran
 * @property {import("../lib/api.js").Save | null} save
 * @property {boolean} [guest] whose saves are found by this browser alone
 * @property {{ title: string, text: string } | null} [words] instead of the reason's
 * @property {string | null} [againHref] where "Play again" leads, `null` without it
 * @property {(() => void) | null} [again] done instead of leading anywhere, where no link leads out
 * @property {string} againText
 */

/**
 * @param {Ending} ending
 * @returns {HTMLElement}
 */
export function endingPanel({ reason, detail, report, failed, save, guest = false, words, againHref, again, againText }) {
  const told = words ?? endInWords(reason);
  const saved = saveInWords(save, { guest });
  return h(
    "section",
    { id: "ended", class: failed ? "ending failed" : "ending", "aria-labelledby": "ended-title", tabindex: "-1", data: { reason: reason ?? "" } },
    h("h1", { id: "ended-title", text: told.title }),
    h("p", { id: "ended-reason", text: told.text }),
    saved ? h("p", { id: "ended-save", data: { status: save?.status ?? "" }, text: saved }) : null,
    detail ? h("p", { id: "ended-detail", class: "muted", text: detail }) : null,
    report ? figures(report) : null,
    h(
      "div",
      { class: "row center" },
      again ? h("button", { type: "button", class: "button primary", id: "play-again", onclick: again, text: againText }) : null,
      againHref ? h("a", { class: "button primary", id: "play-again", href: againHref, text: againText }) : null,
      again === undefined ? h("a", { class: "button quiet", id: "back", href: "/", text: "Back to the games" }) : null,
    ),
  );
}

/** @param {import("../lib/api.js").StopReport} report */
function figures(report) {
  const rows = [
    ["Played", duration(report.duration)],
  ];
  return h(
    "dl",
    { id: "figures", class: "figures" },
    ...rows.map(([name, value]) => h("div", {}, h("dt", { text: name }), h("dd", { text: value }))),
  );
}
