// What became of the save when a session has ended, in words for its player. Pure.

/** @typedef {import("../lib/api.js").Save} Save */

const STORED = "Your progress is saved.";
const STORED_FOR_GUEST = "Your progress is saved for this browser. If you sign out, you can't get it back.";
const UNCHANGED = "There was nothing new to save.";
const PENDING = "Your save could not be stored yet. It is kept and will be stored as soon as possible.";
const REFUSED = "Your save could not be kept. Your previous save is unchanged.";

/**
 * `null` when there is nothing to say: the session has no save, or it is somebody else's.
 *
 * @param {Save | null | undefined} save
 * @param {{ guest?: boolean }} [who] a guest's saves are found by this browser's cookie alone
 * @returns {string | null}
 */
export function saveInWords(save, { guest = false } = {}) {
  if (!save) return null;
  switch (save.status) {
    case "stored":
      return withReason(guest ? STORED_FOR_GUEST : STORED, save.reason);
    case "unchanged":
      return withReason(UNCHANGED, save.reason);
    // The server's sentences have the figures.
    case "pending":
      return save.reason ?? PENDING;
    case "refused":
      return save.reason ?? REFUSED;
  }
  return null;
}

/** @param {string | undefined} id of a user */
export function isGuest(id) {
  return id?.startsWith("guest-") ?? false;
}

/** @param {string} words @param {string | null} reason what of the save is not kept */
function withReason(words, reason) {
  return reason ? `${words} ${reason}` : words;
}
