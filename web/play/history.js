// The kept versions of one save: restore one, download one, import one.

import { api } from "../lib/api.js";
import { openDialog } from "../lib/dialog.js";
import { h } from "../lib/dom.js";
import { bytes, when } from "../lib/words.js";

/** @typedef {import("../lib/api.js").Slot} Slot */
/** @typedef {import("../lib/api.js").Version} Version */

/**
 * Shows the versions of a slot until the person closes it.
 *
 * @param {Slot} slot
 * @param {() => Promise<void>} changed what the slot holds is another now
 */
export async function showHistory(slot, changed) {
  const list = h("ol", { class: "versions", id: "versions" });
  const trouble = h("p", { class: "error", role: "alert" });
  const close = h("button", { type: "button", class: "button", id: "history-close", text: "Close" });
  const file = h("input", { type: "file", id: "history-file", accept: ".gz,.tgz,application/gzip", hidden: true });
  const bring = h("button", { type: "button", class: "button", id: "history-bring", text: "Import save file" });
  const dialog = openDialog("history", `Save ${slot.slot}`, [
    h("p", { class: "muted", text: "Each time you stop, we keep a version. Restoring one makes a copy; nothing is lost." }),
    list,
    trouble,
    h("div", { class: "row apart" }, file, bring, close),
  ]);
  close.addEventListener("click", () => dialog.close());
  bring.addEventListener("click", () => file.click());
  file.addEventListener("change", () => {
    const chosen = file.files?.[0];
    file.value = "";
    if (chosen) void change(() => api.uploadVersion(slot.id, chosen));
  });

  /** @param {() => Promise<unknown>} action */
  async function change(action) {
    trouble.textContent = "";
    dialog.inert = true;
    try {
      await action();
      await Promise.all([refresh(), changed()]);
    } catch (error) {
      trouble.textContent = String(/** @type {Error} */ (error).message);
    } finally {
      dialog.inert = false;
    }
  }

  async function refresh() {
    const { versions } = await api.versions(slot.id);
    if (versions.length === 0) {
      list.replaceChildren(h("li", { class: "muted", text: "Nothing is saved here yet." }));
      return;
    }
    list.replaceChildren(...versions.map((version) => row(version)));
  }

  /** @param {Version} version */
  function row(version) {
    const date = when(version.createdAt);
    const back = h("button", {
      type: "button",
      class: "button small",
      data: { restore: version.number },
      "aria-label": `Restore this version: ${version.number}, ${date}`,
      text: "Restore this version",
    });
    back.addEventListener("click", () => void change(() => api.restoreVersion(slot.id, version.id)));
    const home = h("a", {
      class: "button small",
      href: api.versionUrl(slot.id, version.id),
      download: `save-${slot.slot}-version-${version.number}.tar.gz`,
      data: { download: version.number },
      "aria-label": `Download version ${version.number}, ${date}`,
      text: "Download",
    });
    return h(
      "li",
      { data: { version: version.number } },
      h(
        "span",
        { class: "version-words" },
        h("strong", { text: date }),
        version.current ? h("span", { class: "newest", text: "Newest" }) : null,
        h("span", { class: "muted", text: `Version ${version.number} · ${bytes(version.bytes)}` }),
      ),
      h("span", { class: "version-acts" }, version.current ? null : back, home),
    );
  }

  try {
    await refresh();
  } catch (error) {
    trouble.textContent = String(/** @type {Error} */ (error).message);
  }
}
