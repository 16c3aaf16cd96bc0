// What a person may paste or a link may bring: a whole sign-in link, its fragment, a token, a code. Pure.

/** @typedef {{ kind: "token" | "code", value: string }} Secret */

/**
 * @param {string} text
 * @returns {Secret | null}
 */
export function readSecret(text) {
  const trimmed = text.trim();
  if (!trimmed) return null;
  const fragment = new URLSearchParams(trimmed.slice(trimmed.indexOf("#") + 1));
  for (const kind of /** @type {const} */ (["token", "code"])) {
    const value = fragment.get(kind);
    if (value) return { kind, value };
  }
  if (trimmed.startsWith("#")) return null;
  // A JWT has three parts; everything else a person can type is a code.
  return { kind: trimmed.split(".").length === 3 ? "token" : "code", value: trimmed };
}
