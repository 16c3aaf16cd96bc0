// Reads an OpenAPI 3.1 document: what a schema is in words, which fields it has, and an example of it.

/** @typedef {Record<string, any>} Json */

/** Schemas may refer to themselves. */
const MAX_DEPTH = 6;

export const METHODS = ["get", "put", "post", "delete", "patch", "head", "options", "trace"];

/**
 * What a `$ref` stands for; anything else is itself.
 *
 * @param {Json} document
 * @param {Json | undefined} value
 * @returns {Json}
 */
export function resolve(document, value) {
  let found = value ?? {};
  for (let hops = 0; typeof found.$ref === "string" && hops < MAX_DEPTH; hops += 1) {
    const path = found.$ref.replace(/^#\//, "").split("/");
    found = path.reduce((/** @type {Json | undefined} */ at, /** @type {string} */ key) => at?.[key.replace(/~1/g, "/").replace(/~0/g, "~")], document) ?? {};
  }
  return found;
}

/**
 * A schema without what only says that it may be null, and with the parts of `allOf` put together.
 *
 * @param {Json} document
 * @param {Json | undefined} schema
 * @returns {Json}
 */
export function flatten(document, schema) {
  const whole = { ...resolve(document, schema), ...said(schema) };
  const choices = (whole.oneOf ?? whole.anyOf)?.filter((/** @type {Json} */ one) => one.type !== "null");
  if (choices?.length === 1) return { ...flatten(document, choices[0]), ...said(whole) };
  if (!whole.allOf) return whole;
  const parts = whole.allOf.map((/** @type {Json} */ part) => flatten(document, part));
  return {
    ...whole,
    type: "object",
    properties: Object.assign({}, ...parts.map((/** @type {Json} */ part) => part.properties ?? {}), whole.properties ?? {}),
    required: [...parts.flatMap((/** @type {Json} */ part) => part.required ?? []), ...(whole.required ?? [])],
  };
}

/**
 * What is said at the place itself counts before what is said of the schema it refers to.
 *
 * @param {Json | undefined} schema
 * @returns {Json}
 */
function said(schema) {
  return schema?.description ? { description: schema.description } : {};
}

/**
 * The type of a schema in words.
 *
 * @param {Json} document
 * @param {Json | undefined} schema
 * @returns {string}
 */
export function typeInWords(document, schema) {
  const whole = flatten(document, schema);
  if (whole.enum) return whole.enum.map((/** @type {any} */ value) => JSON.stringify(value)).join(" | ");
  const types = [whole.type].flat().filter((type) => type && type !== "null");
  switch (types[0]) {
    case "array":
      return `list of ${typeInWords(document, whole.items)}`;
    case "object":
      return whole.properties || !whole.additionalProperties ? "object" : `object of ${typeInWords(document, whole.additionalProperties)}`;
    case undefined:
      return "any";
    default:
      return [types[0], limits(whole)].filter(Boolean).join(", ");
  }
}

/** @param {Json} schema */
function limits(schema) {
  const { minimum, maximum } = schema;
  if (minimum !== undefined && maximum !== undefined) return `${minimum} to ${maximum}`;
  if (schema.minLength) return "not empty";
  return "";
}

/**
 * The fields of an object, in their order.
 *
 * @param {Json} document
 * @param {Json | undefined} schema
 * @returns {{ name: string, type: string, required: boolean, description: string }[]}
 */
export function fieldsOf(document, schema) {
  let whole = flatten(document, schema);
  if (whole.type === "array") whole = flatten(document, whole.items);
  return Object.entries(whole.properties ?? {}).map(([name, property]) => ({
    name,
    type: typeInWords(document, property),
    required: (whole.required ?? []).includes(name),
    description: flatten(document, property).description ?? "",
  }));
}

/**
 * A value the schema could have: its own example, else one made of its parts.
 *
 * @param {Json} document
 * @param {Json | undefined} schema
 * @param {number} [depth]
 * @returns {any}
 */
export function exampleOf(document, schema, depth = 0) {
  if (schema?.example !== undefined) return schema.example;
  const whole = flatten(document, schema);
  if (whole.example !== undefined) return whole.example;
  if (whole.enum) return whole.enum[0];
  if (depth > MAX_DEPTH) return null;
  switch ([whole.type].flat().find((type) => type !== "null")) {
    case "array":
      return [exampleOf(document, whole.items, depth + 1)];
    case "object":
      return Object.fromEntries(Object.entries(whole.properties ?? {}).map(([name, property]) => [name, exampleOf(document, property, depth + 1)]));
    case "boolean":
      return true;
    case "integer":
    case "number":
      return whole.minimum ?? 1;
    case "string":
      return "…";
    default:
      return null;
  }
}

/**
 * What a body looks like as text; `null` for one that is no JSON.
 *
 * @param {Json} document
 * @param {Json | undefined} content of a request or a response
 * @returns {string | null}
 */
export function exampleText(document, content) {
  const json = content?.["application/json"];
  if (!json) return null;
  const example = json.example ?? exampleOf(document, json.schema);
  return example === null || example === undefined ? null : JSON.stringify(example, null, 2);
}

/**
 * The operations under each tag, in the document's order.
 *
 * @param {Json} document
 * @returns {{ name: string, description: string, operations: { method: string, path: string, operation: Json }[] }[]}
 */
export function groups(document) {
  const found = (document.tags ?? []).map((/** @type {Json} */ tag) => ({ name: tag.name, description: tag.description ?? "", operations: [] }));
  for (const [path, item] of Object.entries(document.paths ?? {})) {
    for (const method of METHODS.filter((method) => item[method])) {
      const name = item[method].tags?.[0] ?? "Others";
      let group = found.find((/** @type {Json} */ group) => group.name === name);
      if (!group) found.push((group = { name, description: "", operations: [] }));
      group.operations.push({ method, path, operation: item[method] });
    }
  }
  return found.filter((/** @type {Json} */ group) => group.operations.length > 0);
}
