// The three saves of a game, as tickets: continue one, begin in an empty one, look at its versions, empty one.

import { api } from "../lib/api.js";
import { confirmDialog } from "../lib/dialog.js";
import { h } from "../lib/dom.js";
import { bytes, when } from "../lib/words.js";
import { showHistory } from "./history.js";

/** @typedef {import("../lib/api.js").Slot} Slot */

/**
 * The slot that "Continue" means: the one played last (contract B4).
 *
 * @param {Slot[]} slots
 * @returns {Slot | null}
 */
export function latestSlot(slots) {
  const full = slots.filter((slot) => !slot.empty);
  full.sort((a, b) => (b.updatedAt ?? "").localeCompare(a.updatedAt ?? ""));
  return full[0] ?? null;
}

/**
 * @param {Slot[]} slots
 * @param {object} on
 * @param {(slot: Slot) => void} on.pick
 * @param {() => Promise<void>} on.changed
 * @param {(message: string) => void} on.failed
 * @returns {HTMLElement}
 */
export function slotList(slots, on) {
  return h(
    "section",
    { "aria-labelledby": "saves" },
    h("h2", { id: "saves", class: "small-title", text: "Your saves" }),
    h("ol", { class: "slots", id: "slots" }, ...slots.map((slot) => slotTicket(slot, on))),
  );
}

/**
 * @param {Slot} slot
 * @param {{ pick: (slot: Slot) => void, changed: () => Promise<void>, failed: (message: string) => void }} on
 */
function slotTicket(slot, on) {
  const what = slot.inUse ? "Being played" : slot.empty ? "New game" : "Continue";
  const details = slot.empty ? "Empty" : `${when(slot.updatedAt)}${slot.bytes === null ? "" : ` · ${bytes(slot.bytes)}`}`;
  const pick = h(
    "button",
    {
      type: "button",
      class: "slot",
      data: { slot: slot.slot, empty: slot.empty },
      disabled: slot.inUse,
    },
    h("span", { class: "slot-number" }, h("span", { class: "visually-hidden", text: "Save " }), slot.slot),
    " ",
    h("span", { class: "slot-words" }, h("strong", { text: what }), " ", h("span", { text: details })),
  );
  pick.addEventListener("click", () => on.pick(slot));
  if (slot.inUse) return h("li", {}, pick);
  return h("li", {}, pick, historyButton(slot, on), slot.empty ? null : deleteButton(slot, on));
}

/**
 * @param {Slot} slot
 * @param {{ changed: () => Promise<void> }} on
 */
function historyButton(slot, on) {
  const history = h("button", {
    type: "button",
    class: "slot-side",
    data: { history: slot.slot },
    "aria-label": slot.empty ? `Import a save file into save ${slot.slot}` : `Versions of save ${slot.slot}`,
    title: slot.empty ? "Import a save file" : "Earlier versions, download, import",
    text: slot.empty ? "Import" : "Versions",
  });
  history.addEventListener("click", () => void showHistory(slot, on.changed));
  return history;
}

/**
 * @param {Slot} slot
 * @param {{ changed: () => Promise<void>, failed: (message: string) => void }} on
 */
function deleteButton(slot, on) {
  const remove = h("button", {
    type: "button",
    class: "slot-side danger",
    data: { delete: slot.slot },
    "aria-label": `Delete save ${slot.slot}`,
    title: "Delete this save",
    text: "Delete",
  });
  remove.addEventListener("click", async () => {
    const sure = await confirmDialog({
      title: `Delete save ${slot.slot}?`,
      text: `Your progress from ${when(slot.updatedAt)} will be deleted. This can't be undone.`,
      yes: "Delete",
    });
    if (!sure) return;
    try {
      await api.deleteSlot(slot.id);
    } catch (error) {
      on.failed(String(/** @type {Error} */ (error).message));
    }
    await on.changed();
  });
  return remove;
}
