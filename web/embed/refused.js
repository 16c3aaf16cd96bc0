// On the page by which the gateway refuses an embed: the words are there already, the page around is told them, too. There is no
// player and never a visit.

import { Bridge, originAround } from "./bridge.js";

const code = document.documentElement.dataset.refused ?? "";
const message = document.querySelector("#refused-why")?.textContent ?? "";
const tell = () => bridge.refused({ code, message });
const around = { window, origin: location.origin, parentOrigin: originAround(window) };
const bridge = new Bridge(around, { open: tell, call: async () => null });

bridge.ready();
tell();
