// The element in a page of yours: its events, and buttons outside that call its methods.

import { player as address } from "./config.js";
import { showFrame } from "./frame.js";

const byId = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const say = (/** @type {string} */ id, /** @type {string} */ text) => (byId(id).textContent = text);

// With a script tag in the page this line is not needed. Types: `/embed.d.ts` of the same gateway.
const { mount } = /** @type {typeof import("../embed/embed.js")} */ (await import(new URL("/embed.js", address).href));
const player = mount(byId("place"), { src: address, controls: true, title: "Tonight's game" });

// ---- events -------------------------------------------------------------------------------------------------------------

const WORDS = {
  idle: "Not started", launching: "Starting", connecting: "Connecting", playing: "Playing", reconnecting: "Reconnecting",
  ended: "Over", failed: "Not available",
};

player.addEventListener("state", ({ detail }) => {
  say("state", WORDS[detail.state]);
  if (detail.title) say("now-showing", detail.title);
  say("role", detail.role === "player" ? "playing" : detail.role === "spectator" ? "watching" : "–");
  say("sound", detail.muted ? "Sound on" : "Mute");
  byId("sound").setAttribute("aria-pressed", String(detail.muted));
});
player.addEventListener("progress", ({ detail }) => say("state", detail.words));
player.addEventListener("statistics", ({ detail }) => {
  say("size", `${detail.width} × ${detail.height}`);
  say("fps", `${Math.round(detail.fps)} a second`);
  say("kbps", `${(detail.kbps / 1000).toFixed(1)} Mbit/s`);
  say("trip", detail.roundTripMs === null ? "–" : `${Math.round(detail.roundTripMs)} ms`);
});
// The player shows both inside, too; a page may have more to say.
player.addEventListener("end", ({ detail }) => say("state", detail.title));
player.addEventListener("error", ({ detail }) => say("state", detail.message));

// ---- buttons ------------------------------------------------------------------------------------------------------------

/** Every method gives a promise: refused, it says why in words for people. */
const onClick = (/** @type {string} */ id, /** @type {() => Promise<void>} */ action) =>
  byId(id).addEventListener("click", () => action().catch((error) => log("refused", error.message)));

onClick("play", () => player.play());
onClick("sound", () => player.mute(!player.muted));
onClick("full", () => player.fullscreen());
onClick("ask", () => player.requestControl());
onClick("back", () => player.releaseControl());
onClick("stop", () => player.stop());

// ---- the log ------------------------------------------------------------------------------------------------------------

for (const name of /** @type {const} */ (["state", "progress", "firstframe", "control", "end", "error"])) {
  player.addEventListener(name, ({ detail }) => log(name, JSON.stringify(detail)));
}

/** @param {string} name @param {string} text */
function log(name, text) {
  const line = document.createElement("li");
  const what = document.createElement("b");
  what.textContent = name;
  line.append(new Date().toLocaleTimeString(), " ", what, " ", text);
  byId("log").prepend(line);
  while (byId("log").childElementCount > 100) byId("log").lastElementChild?.remove();
}

byId("frame-open").addEventListener("click", () => {
  byId("frame-open").hidden = true;
  showFrame(byId("frame-place"), (text) => say("frame-said", text));
});
