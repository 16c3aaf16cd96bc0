// Text from a phone's keyboard: an invisible field takes the focus, what is written in it goes to the game as text,
// erasing and line breaks as keys. Compositions are sent once, when they are settled.

import { USAGE } from "./keys.js";

/** Something to erase: on-screen keyboards send no event for erasing nothing. */
const FILLER = "  ";

/**
 * @param {HTMLInputElement} field
 * @param {import("./input-sender.js").InputSender} sender
 */
export function listenTextEntry(field, sender) {
  const refill = () => {
    field.value = FILLER;
    field.setSelectionRange(FILLER.length, FILLER.length);
  };
  /** @param {number} usage */
  const tap = (usage) => {
    sender.key(usage, true);
    sender.key(usage, false);
  };
  field.addEventListener("focus", refill);
  field.addEventListener("beforeinput", (event) => {
    if (event.isComposing || event.inputType === "insertCompositionText") return;
    if (event.inputType.startsWith("delete")) tap(USAGE.backspace);
    else if (event.inputType === "insertLineBreak" || event.inputType === "insertParagraph") tap(USAGE.enter);
    else if (event.data) sender.text(event.data);
    if (event.cancelable) event.preventDefault();
    refill();
  });
  field.addEventListener("compositionend", (event) => {
    if (event.data) sender.text(event.data);
    refill();
  });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    tap(USAGE.enter);
  });
}
