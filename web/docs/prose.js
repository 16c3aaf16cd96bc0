// A description's few marks: `code` and **strong**. Everything else is plain text.

import { h } from "../lib/dom.js";

/**
 * The text in pieces, each with what it is.
 *
 * @param {string} text
 * @returns {{ kind: "text" | "code" | "strong", text: string }[]}
 */
export function pieces(text) {
  return text
    .split(/(`[^`]+`|\*\*[^*]+\*\*)/)
    .filter((piece) => piece !== "")
    .map((piece) => {
      if (piece.startsWith("`")) return { kind: "code", text: piece.slice(1, -1) };
      if (piece.startsWith("**")) return { kind: "strong", text: piece.slice(2, -2) };
      return { kind: "text", text: piece };
    });
}

/** @param {string} text */
export function prose(text) {
  return h("p", {}, ...pieces(text).map((piece) => (piece.kind === "text" ? piece.text : h(piece.kind, { text: piece.text }))));
}
