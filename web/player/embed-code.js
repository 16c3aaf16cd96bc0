// The second way of inviting: code that shows the running session on other web sites; the sites it is shown on, and taking it
// back.

import { api } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { allowedUntil, copied, durationChoice, roleChoice } from "./invite-parts.js";

/**
 * A part of the share dialog, closed at first.
 *
 * @param {string} sessionId
 * @param {(words: string) => void} tell something to read
 */
export function embedCode(sessionId, tell) {
  const site = h("input", { id: "embed-site", name: "site", type: "url", required: true, placeholder: "https://your-site.example", autocomplete: "off", spellcheck: "false" });
  const create = h("button", { type: "submit", class: "button", id: "embed-create", text: "Create embed code" });
  const code = h("textarea", { id: "embed-code", rows: 6, readonly: true, spellcheck: "false", "aria-label": "Code for the site's page" });
  const copy = h("button", { type: "button", class: "button", id: "embed-copy", text: "Copy" });
  const result = h("div", { class: "field", hidden: true }, code, h("div", { class: "row end" }, copy));
  const list = h("ul", { class: "grants", id: "embed-list", "aria-label": "Embedded on" });
  const form = h(
    "form",
    { id: "embed-form" },
    h("label", { class: "field" }, h("span", { text: "The site's address" }), site),
    roleChoice("embed", "spectator"),
    durationChoice("embed-duration", "The code works for", [["1 day", 24], ["7 days", 7 * 24], ["30 days", 30 * 24]]),
    create,
  );
  const refresh = async () => {
    const { embeds } = await api.embeds();
    const shown = embeds.filter((embed) => embed.sessionId === sessionId && !embed.revoked);
    list.replaceChildren(...shown.map((embed) => row(embed, refresh, tell)));
  };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    create.disabled = true;
    tell("");
    const data = new FormData(form);
    try {
      const origins = [new URL(String(data.get("site"))).origin];
      const embed = await api.mintEmbed({ sessionId, role: String(data.get("role")), origins, expiresIn: Number(data.get("expiresIn")) });
      code.value = snippet(location.origin, embed.url ?? "");
      result.hidden = false;
      code.focus();
      code.select();
      await refresh();
    } catch (error) {
      tell(String(/** @type {Error} */ (error).message));
    } finally {
      create.disabled = false;
    }
  });
  copy.addEventListener("click", async () => tell((await copied(code)) ? "Copied." : "Press Ctrl+C to copy."));
  const part = h("details", { id: "embed-part" }, h("summary", { text: "Embed on a website" }), form, result, list);
  part.addEventListener("toggle", () => {
    if (part.open) refresh().catch((error) => tell(String(error.message)));
  });
  return part;
}

/**
 * What the owner of a site pastes.
 *
 * @param {string} gateway its origin
 * @param {string} url of the stream
 */
export function snippet(gateway, url) {
  return `<script type="module" src="${gateway}/embed.js"></script>\n<playgate-player src="${url}" controls></playgate-player>`;
}

/**
 * @param {import("../lib/api.js").Embed} embed
 * @param {() => Promise<void>} refresh
 * @param {(words: string) => void} tell
 */
function row(embed, refresh, tell) {
  const sites = embed.origins.map((origin) => new URL(origin).host).join(", ");
  const revoke = h("button", { type: "button", class: "button small quiet", data: { revoke: embed.embedId }, "aria-label": `Revoke the code for ${sites}`, text: "Revoke" });
  revoke.addEventListener("click", async () => {
    revoke.disabled = true;
    try {
      await api.revokeEmbed(embed.embedId);
      tell("Embed code revoked. The site no longer shows the game.");
      await refresh();
    } catch (error) {
      revoke.disabled = false;
      tell(String(/** @type {Error} */ (error).message));
    }
  });
  const visits = `${embed.used} ${embed.used === 1 ? "visit" : "visits"}`;
  return h("li", {}, h("span", { text: `${sites}. ${allowedUntil(embed.role, embed.expiresAt)}, ${visits}` }), revoke);
}
