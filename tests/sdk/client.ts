// A site's own script, small and strictly typed against `/embed.d.ts`. Compiled, it is run in a page of another origin by
// `tests/e2e/browser/embed.rs`; what it sees it leaves in `window.seen`.

import { PlaygateError, PlaygatePlayerElement, mount } from "./embed.js";
import type { ControlDetail, EndDetail, MountOptions, PlayerState, StatisticsDetail } from "./embed.js";

interface Seen {
  states: PlayerState[];
  firstFrameMs: number | null;
  statistics: StatisticsDetail | null;
  control: ControlDetail | null;
  end: EndDetail | null;
  refusal: { code: string; message: string } | null;
  title: string | null;
}

declare global {
  interface Window {
    seen: Seen;
    player: PlaygatePlayerElement;
  }
}

const seen: Seen = { states: [], firstFrameMs: null, statistics: null, control: null, end: null, refusal: null, title: null };
window.seen = seen;

const options: MountOptions = {
  src: new URLSearchParams(location.hash.slice(1)).get("src") ?? "",
  title: "A game",
  on: {
    state: ({ detail }) => {
      seen.states.push(detail.state);
      seen.title = detail.title;
    },
    error: ({ detail: { code, message } }) => (seen.refusal = { code, message }),
  },
};
const place = document.querySelector("#place");
if (!place) throw new Error("the page has no place");
const player = mount(place, options);
window.player = player;

// What the element's own tag name is known as.
const found: PlaygatePlayerElement | null = document.querySelector("playgate-player");
if (found !== player || !(document.createElement("playgate-player") instanceof PlaygatePlayerElement)) throw new Error("not the element");

player.addEventListener("firstframe", ({ detail }) => (seen.firstFrameMs = detail.ms));
player.addEventListener("statistics", ({ detail }) => (seen.statistics = detail));
player.addEventListener("control", function ({ detail }) {
  const slot: number | null = detail.you.slot ?? null;
  seen.control = slot === null && this.role === "player" ? null : detail;
});
player.addEventListener("end", ({ detail }) => (seen.end = detail));
player.addEventListener("click", (event) => event.preventDefault());

async function go(): Promise<void> {
  try {
    await player.play();
    await player.mute(true);
    const quiet: boolean = player.muted;
    if (!quiet) throw new Error("it is heard");
  } catch (error) {
    if (error instanceof PlaygateError) seen.refusal = { code: error.code, message: error.message };
    else throw error;
  }
}
void go();

// What must not compile.
// @ts-expect-error there is no such event with such a detail
player.addEventListener("statistics", ({ detail }) => detail.speed);
// @ts-expect-error the state is not for setting
player.state = "playing";
// @ts-expect-error an option that does not exist
mount(place, { address: "x" });
