// What this browser or an insecure origin keeps from the player. Pure but for looking at the browser.

/** @returns {string[]} what does not work, in words */
export function missingFeatures() {
  const missing = [];
  if (!isSecureContext || typeof navigator.getGamepads !== "function") missing.push("gamepads");
  if (typeof Element.prototype.requestPointerLock !== "function") missing.push("capturing the mouse");
  if (!navigator.clipboard) missing.push("copying links with one click");
  if (!("wakeLock" in navigator)) missing.push("keeping the screen on");
  return missing;
}

/** @returns {string | null} one sentence for people, `null` when nothing is to be said */
export function insecureNotice() {
  if (isSecureContext) return null;
  const missing = missingFeatures();
  const list = missing.length > 1 ? `${missing.slice(0, -1).join(", ")} and ${missing.at(-1)}` : missing[0];
  return `This address is not served over HTTPS. You can play; features unavailable here: ${list ?? "none"}.`;
}
