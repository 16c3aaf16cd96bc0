// One operation of the API, folded up.

import { h } from "../lib/dom.js";
import { exampleText, fieldsOf, typeInWords } from "./schema.js";
import { prose } from "./prose.js";

/** @typedef {import("./schema.js").Json} Json */

/**
 * @param {Json} document
 * @param {{ method: string, path: string, operation: Json }} one
 */
export function operationCard(document, { method, path, operation }) {
  const body = operation.requestBody;
  return h(
    "details",
    { class: "operation", id: operation.operationId },
    h(
      "summary",
      {},
      h("span", { class: "method", data: { method }, text: method.toUpperCase() }),
      h("code", { class: "path" }, ...brokenAtSlashes(path)),
      h("span", { class: "summary", text: operation.summary ?? "" }),
    ),
    h(
      "div",
      { class: "inside" },
      operation.description && prose(operation.description),
      h("p", { class: "muted", text: credentials(document, operation) }),
      operation.parameters?.length > 0 && parameters(document, operation.parameters),
      body && part("Request body", body.description, contentOf(document, body.content, true)),
      h("h4", { text: "Answers" }),
      ...Object.entries(operation.responses ?? {}).map(([status, response]) => answer(document, status, response)),
    ),
  );
}

/**
 * Long paths break after a slash and nowhere else.
 *
 * @param {string} path
 */
function brokenAtSlashes(path) {
  return path.split(/(?<=\/)/).flatMap((part) => [part, h("wbr")]);
}

/**
 * @param {Json} document
 * @param {Json} operation
 */
function credentials(document, operation) {
  const wanted = (operation.security ?? document.security ?? []).flatMap(Object.keys);
  if (wanted.includes("api-token")) return "With an organisation's API token.";
  return wanted.length > 0 ? "With a user's token, in a header or as the page's cookie." : "Public.";
}

/**
 * @param {Json} document
 * @param {Json[]} list
 */
function parameters(document, list) {
  const rows = list.map((one) => ({
    name: one.name,
    type: `${typeInWords(document, one.schema)}, in the ${one.in}`,
    required: Boolean(one.required),
    description: one.description ?? "",
  }));
  return part("Parameters", "", [fields(rows, true)]);
}

/**
 * @param {string} title
 * @param {string | undefined} description
 * @param {(HTMLElement | null)[]} children
 */
function part(title, description, children) {
  return h("section", {}, h("h4", { text: title }), description ? prose(description) : null, ...children);
}

/**
 * @param {Json} document
 * @param {Json | undefined} content
 * @param {boolean} sent by the caller, who wants to know what must be there
 * @returns {(HTMLElement | null)[]}
 */
function contentOf(document, content, sent) {
  const [kind, media] = Object.entries(content ?? {})[0] ?? [];
  if (!kind) return [];
  if (kind !== "application/json") return [h("p", { class: "muted" }, "As ", h("code", { text: kind }))];
  const rows = fieldsOf(document, media.schema);
  const example = exampleText(document, content);
  return [rows.length > 0 ? fields(rows, sent) : null, example ? h("pre", { tabindex: "0", text: example }) : null];
}

/**
 * @param {Json} document
 * @param {string} status
 * @param {Json} response
 */
function answer(document, status, response) {
  const inside = contentOf(document, response.content, false).filter((child) => child !== null);
  const words = h("span", { text: response.description ?? "" });
  const head = [h("code", { class: "status", data: { kind: status[0] ?? "" }, text: status }), words];
  if (inside.length === 0) return h("p", { class: "answer" }, ...head);
  // What went well is shown at once; the refusals all look alike.
  return h("details", { class: "answer", open: status.startsWith("2") }, h("summary", {}, ...head), ...inside);
}

/**
 * @param {{ name: string, type: string, required: boolean, description: string }[]} rows
 * @param {boolean} sent
 */
function fields(rows, sent) {
  return h(
    "dl",
    { class: "fields" },
    ...rows.flatMap((row) => [
      h("dt", {}, h("code", { text: row.name }), sent && row.required ? h("span", { class: "required", text: "required" }) : null),
      h("dd", {}, h("span", { class: "type", text: row.type }), row.description ? prose(row.description) : null),
    ]),
  );
}
