// Modal dialogs over <dialog>: the browser keeps the focus inside and gives it back.

import { h } from "./dom.js";

/**
 * A dialog with a title, closed by Escape, by its buttons or by a click beside it. Removed when it closes.
 *
 * @param {string} id
 * @param {string} title
 * @param {import("./dom.js").Child[]} content
 * @param {HTMLElement} [parent] inside the full-screen element, or it is not seen
 * @returns {HTMLDialogElement}
 */
export function openDialog(id, title, content, parent = document.body) {
  document.getElementById(id)?.remove();
  const dialog = h(
    "dialog",
    { id, "aria-labelledby": `${id}-title`, class: "dialog" },
    h("div", { class: "dialog-body" }, h("h2", { id: `${id}-title`, text: title }), ...content),
  );
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => dialog.remove());
  parent.appendChild(dialog);
  dialog.showModal();
  return dialog;
}

/**
 * Asks before a running game is ended.
 *
 * @param {HTMLElement} [parent] as for `openDialog`
 */
export function sureToEnd(parent) {
  const text = "We save your progress, then the game closes for everyone in it.";
  return confirmDialog({ title: "End this game?", text, yes: "End game", no: "Keep playing", stay: true }, parent);
}

/**
 * Asks before something that cannot be undone. "No" has the focus: Enter, Escape and a click beside the dialog all mean no.
 *
 * @param {{ title: string, text: string, yes: string, no?: string, stay?: boolean }} question `stay`: "no" is what most will want
 * @param {HTMLElement} [parent] as for `openDialog`
 * @returns {Promise<boolean>}
 */
export function confirmDialog(question, parent) {
  return new Promise((resolve) => {
    let answer = false;
    const no = h("button", { type: "button", class: question.stay ? "button primary" : "button quiet", id: "confirm-no", text: question.no ?? "Keep it" });
    const yes = h("button", { type: "button", class: question.stay ? "button" : "button danger", id: "confirm-yes", text: question.yes });
    const dialog = openDialog("confirm", question.title, [
      h("p", { text: question.text }),
      h("div", { class: "row end" }, no, yes),
    ], parent);
    no.addEventListener("click", () => dialog.close());
    yes.addEventListener("click", () => {
      answer = true;
      dialog.close();
    });
    dialog.addEventListener("close", () => resolve(answer));
    no.focus();
  });
}
