// What the two ways of inviting have in common: who may do what, for how long, and handing the result over.

import { h } from "../lib/dom.js";

const HOUR = 3600;

/**
 * The choice between playing and watching, as the field `role`.
 *
 * @param {string} prefix of the ids
 * @param {"player" | "spectator"} first the one that is chosen
 */
export function roleChoice(prefix, first) {
  const role = (/** @type {string} */ value, /** @type {string} */ label) =>
    h("label", { class: "choice" }, h("input", { type: "radio", name: "role", value, checked: value === first, id: `${prefix}-${value}` }), h("span", { text: label }));
  return h("fieldset", {}, h("legend", { text: "Guests can" }), role("player", "play"), role("spectator", "watch only"));
}

/**
 * The choice of a duration, as the field `expiresIn` in seconds.
 *
 * @param {string} id
 * @param {string} label
 * @param {[string, number][]} durations in hours
 */
export function durationChoice(id, label, durations) {
  const options = durations.map(([words, hours]) => h("option", { value: hours * HOUR, selected: hours === 24, text: words }));
  return h("label", { class: "field" }, h("span", { text: label }), h("select", { id, name: "expiresIn" }, ...options));
}

/** @param {string} role @param {string} expiresAt */
export function allowedUntil(role, expiresAt) {
  const until = new Date(expiresAt).toLocaleString([], { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
  return `${role === "player" ? "Can play" : "Can watch"} until ${until}`;
}

/** @param {HTMLInputElement | HTMLTextAreaElement} field */
export async function copied(field) {
  try {
    await navigator.clipboard.writeText(field.value);
    return true;
  } catch {
    // No clipboard on insecure origins: the old way, from the marked text.
    field.focus();
    field.select();
    return document.execCommand?.("copy") ?? false;
  }
}
