import assert from "node:assert/strict";
import { test } from "node:test";
import { HID_USAGE, belongsToBrowser, usageOf } from "../player/keys.js";

test("keys have the usages of the HID table", () => {
  const known = {
    KeyA: 0x04, KeyZ: 0x1d, Digit1: 0x1e, Digit0: 0x27, Enter: 0x28, Escape: 0x29, Backspace: 0x2a, Tab: 0x2b, Space: 0x2c,
    Minus: 0x2d, Backslash: 0x31, Semicolon: 0x33, Slash: 0x38, CapsLock: 0x39, F1: 0x3a, F12: 0x45, PrintScreen: 0x46,
    Insert: 0x49, Delete: 0x4c, PageDown: 0x4e, ArrowRight: 0x4f, ArrowUp: 0x52, NumLock: 0x53, NumpadDivide: 0x54,
    NumpadEnter: 0x58, Numpad1: 0x59, Numpad0: 0x62, NumpadDecimal: 0x63, IntlBackslash: 0x64, F13: 0x68, F24: 0x73,
    ControlLeft: 0xe0, ShiftLeft: 0xe1, AltLeft: 0xe2, MetaLeft: 0xe3, ControlRight: 0xe4, MetaRight: 0xe7,
  };
  for (const [code, usage] of Object.entries(known)) assert.equal(HID_USAGE.get(code), usage, code);
});

test("no two keys share a usage", () => {
  assert.equal(new Set(HID_USAGE.values()).size, HID_USAGE.size);
});

test("a key without a code is known by its name, and an unknown one is left alone", () => {
  assert.equal(usageOf({ code: "", key: "Enter" }), 0x28);
  assert.equal(usageOf({ code: "KeyQ", key: "a" }), 0x14);
  assert.equal(usageOf({ code: "", key: "Unidentified" }), undefined);
});

test("reload, tools and the browser's own combinations stay with the browser; the game's do not", () => {
  const event = { code: "", ctrlKey: false, metaKey: false, shiftKey: false, altKey: false };
  assert.ok(belongsToBrowser({ ...event, code: "F5" }));
  assert.ok(belongsToBrowser({ ...event, code: "KeyC", metaKey: true }));
  assert.ok(belongsToBrowser({ ...event, code: "KeyR", ctrlKey: true }));
  assert.ok(!belongsToBrowser({ ...event, code: "MetaLeft", metaKey: true }));
  assert.ok(!belongsToBrowser({ ...event, code: "KeyA", ctrlKey: true }));
  assert.ok(!belongsToBrowser({ ...event, code: "Space" }));
});
