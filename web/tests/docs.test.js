import assert from "node:assert/strict";
import { test } from "node:test";
import { pieces } from "../docs/prose.js";
import { exampleOf, exampleText, fieldsOf, groups, typeInWords } from "../docs/schema.js";

const document = {
  tags: [{ name: "One", description: "First." }, { name: "Unused" }],
  paths: {
    "/a": { post: { tags: ["One"] }, get: { tags: ["One"] } },
    "/b": { get: { tags: ["Two"] } },
  },
  components: {
    schemas: {
      Base: { type: "object", required: ["id"], properties: { id: { type: "string", minLength: 1, example: "x" } } },
      Whole: {
        allOf: [
          { $ref: "#/components/schemas/Base" },
          { type: "object", required: ["n"], properties: { n: { type: "integer", minimum: 1, maximum: 9 }, maybe: { oneOf: [{ type: "null" }, { $ref: "#/components/schemas/Word", description: "Perhaps." }] } } },
        ],
      },
      Word: { type: "string", enum: ["yes", "no"], description: "A word." },
      Tree: { type: "object", properties: { inner: { $ref: "#/components/schemas/Tree" } } },
    },
  },
};
const ref = (name) => ({ $ref: `#/components/schemas/${name}` });

test("operations are grouped by their tags in the document's order", () => {
  const found = groups(document).map((group) => [group.name, group.operations.map((one) => `${one.method} ${one.path}`)]);
  assert.deepEqual(found, [["One", ["get /a", "post /a"]], ["Two", ["get /b"]]]);
});

test("types are told in words", () => {
  assert.equal(typeInWords(document, { type: ["string", "null"] }), "string");
  assert.equal(typeInWords(document, { type: "array", items: ref("Word") }), 'list of "yes" | "no"');
  assert.equal(typeInWords(document, { type: "object", additionalProperties: { type: "string" } }), "object of string");
  assert.equal(typeInWords(document, { type: "integer", minimum: 1, maximum: 9 }), "integer, 1 to 9");
  assert.equal(typeInWords(document, {}), "any");
  assert.equal(typeInWords(document, ref("Nothing")), "any");
});

test("fields come from every part of a schema", () => {
  assert.deepEqual(fieldsOf(document, ref("Whole")), [
    { name: "id", type: "string, not empty", required: true, description: "" },
    { name: "n", type: "integer, 1 to 9", required: true, description: "" },
    { name: "maybe", type: '"yes" | "no"', required: false, description: "Perhaps." },
  ]);
});

test("an example is the schema's own, or made of its parts", () => {
  assert.deepEqual(exampleOf(document, ref("Whole")), { id: "x", n: 1, maybe: "yes" });
  assert.equal(exampleText(document, { "application/json": { schema: ref("Word"), example: 7 } }), "7");
  assert.equal(exampleText(document, { "text/plain": {} }), null);
  assert.ok(JSON.stringify(exampleOf(document, ref("Tree"))).length < 200, "a schema inside itself ends");
});

test("marks become code and strong, and everything else stays text", () => {
  assert.deepEqual(pieces("A `b` <i>c</i> **d**"), [
    { kind: "text", text: "A " },
    { kind: "code", text: "b" },
    { kind: "text", text: " <i>c</i> " },
    { kind: "strong", text: "d" },
  ]);
});
