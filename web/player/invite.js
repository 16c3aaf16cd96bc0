// The share dialog: a link for one session, to play or to watch, for a time; the links there are, and taking one back.

import { api } from "../lib/api.js";
import { openDialog } from "../lib/dialog.js";
import { h } from "../lib/dom.js";
import { when } from "../lib/words.js";
import { embedCode } from "./embed-code.js";
import { allowedUntil, copied, durationChoice, roleChoice } from "./invite-parts.js";

/**
 * @param {string} sessionId
 * @param {HTMLElement} parent inside the full-screen element
 * @returns {HTMLDialogElement}
 */
export function openInvite(sessionId, parent) {
  const create = h("button", { type: "submit", class: "button primary", id: "share-create", text: "Create link" });
  const link = h("input", { id: "share-link", readonly: true, "aria-label": "Invitation link" });
  const copy = h("button", { type: "button", class: "button", id: "share-copy", text: "Copy" });
  const result = h("div", { class: "row", hidden: true }, link, copy);
  const told = h("p", { role: "status", "aria-live": "polite", class: "muted", id: "share-told" });
  const list = h("ul", { class: "grants", id: "share-list", "aria-label": "Invitation links" });
  const form = h(
    "form",
    { id: "share-form" },
    roleChoice("role", "player"),
    durationChoice("share-duration", "The link works for", [["1 hour", 1], ["1 day", 24], ["7 days", 7 * 24]]),
    create,
  );
  const refresh = async () => {
    try {
      const { grants } = await api.grants(sessionId);
      list.replaceChildren(...grants.filter((grant) => !grant.revoked).map((grant) => grantRow(grant, refresh, told)));
    } catch (error) {
      told.textContent = String(/** @type {Error} */ (error).message);
    }
  };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    create.disabled = true;
    told.textContent = "";
    const data = new FormData(form);
    try {
      const grant = await api.share({ sessionId, role: String(data.get("role")), expiresIn: Number(data.get("expiresIn")) });
      link.value = grant.url ?? "";
      result.hidden = false;
      link.focus();
      link.select();
      await refresh();
    } catch (error) {
      told.textContent = String(/** @type {Error} */ (error).message);
    } finally {
      create.disabled = false;
    }
  });
  copy.addEventListener("click", async () => {
    told.textContent = (await copied(link)) ? "Copied." : "Press Ctrl+C to copy.";
  });
  const close = h("button", { type: "button", class: "button quiet", id: "share-close", text: "Done" });
  const dialog = openDialog(
    "share",
    "Invite someone",
    [form, result, told, list, embedCode(sessionId, (words) => (told.textContent = words)), h("div", { class: "row end" }, close)],
    parent,
  );
  close.addEventListener("click", () => dialog.close());
  void refresh();
  return dialog;
}

/**
 * @param {import("../lib/api.js").Grant} grant
 * @param {() => Promise<void>} refresh
 * @param {HTMLElement} told
 */
function grantRow(grant, refresh, told) {
  const revoke = h("button", { type: "button", class: "button small quiet", data: { revoke: grant.grantId }, text: "Revoke" });
  const made = grant.createdAt ? `, created ${when(grant.createdAt)}` : "";
  revoke.setAttribute("aria-label", `Revoke the link to ${grant.role === "player" ? "play" : "watch"}${made}`);
  revoke.addEventListener("click", async () => {
    revoke.disabled = true;
    try {
      await api.revoke(grant.grantId);
      told.textContent = "Link revoked. Guests were disconnected.";
      await refresh();
    } catch (error) {
      revoke.disabled = false;
      told.textContent = String(/** @type {Error} */ (error).message);
    }
  });
  return h("li", {}, h("span", { text: allowedUntil(grant.role, grant.expiresAt) }), revoke);
}
