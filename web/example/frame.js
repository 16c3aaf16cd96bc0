// The plain frame, for pages that want no script of ours. Without the second half it plays as well: all that is said by
// postMessage is there for those who want to know. Both sides check the origin: the frame answers only sites that its token
// names, and this page listens only to its own frame, from the gateway.

import { frame as address } from "./config.js";

/**
 * @param {HTMLElement} place
 * @param {(text: string) => void} say
 */
export function showFrame(place, say) {
  const frame = document.createElement("iframe");
  frame.src = address;
  frame.title = "Game";
  frame.allow = "autoplay; fullscreen; gamepad; clipboard-write";
  // The gateway then can say in words when a site is not on the list.
  frame.referrerPolicy = "origin";
  const gateway = new URL(address).origin;

  window.addEventListener("message", ({ source, origin, data }) => {
    if (source !== frame.contentWindow || origin !== gateway || data?.playgate !== 1) return;
    // From its answer the frame learns who we are; before that it tells nobody anything.
    if (data.type === "ready") frame.contentWindow?.postMessage({ playgate: 1, type: "open" }, gateway);
    if (data.type === "event" && data.name === "state") say(`The frame is ${data.detail.state}.`);
    if (data.type === "event" && data.name === "error") say(data.detail.message);
  });
  place.replaceChildren(frame);
  return frame;
}
