// A WHEP player (draft-ietf-wish-whep) from nothing: one visit, one offer, one answer.

import { whep as address } from "./config.js";

const [embed = "", token = ""] = address.split("#");
const gateway = new URL(embed).origin;
const video = /** @type {HTMLVideoElement} */ (document.querySelector("#video"));
/** @type {{ pc: RTCPeerConnection, resource: string, bearer: Record<string, string> } | null} */
let watching = null;

async function watch() {
  // 1. The embed token is exchanged for a visit: a grant to one session. Refusals are { error, message }.
  const visited = await fetch(`${gateway}/api/embed/visit`, { method: "POST", headers: { authorization: `Bearer ${token}` } });
  const visit = await visited.json();
  if (!visited.ok) throw new Error(visit.message);
  const bearer = { authorization: `Bearer ${visit.token}` };

  // 2. A peer that only receives. The gateway needs no trickled candidates: it knows where we are from our first packet.
  const pc = new RTCPeerConnection();
  const stream = new MediaStream();
  pc.addEventListener("track", ({ track }) => stream.addTrack(track));
  for (const kind of ["video", "audio"]) pc.addTransceiver(kind, { direction: "recvonly" });
  video.srcObject = stream;
  await pc.setLocalDescription();

  // 3. The offer. 409: the game is still starting; ask again when it says.
  let answered;
  for (;;) {
    const headers = { ...bearer, "content-type": "application/sdp" };
    const body = pc.localDescription?.sdp ?? "";
    answered = await fetch(`${gateway}/session/${visit.sessionId}/whep`, { method: "POST", headers, body });
    if (answered.status !== 409) break;
    const wait = Number(answered.headers.get("retry-after") ?? 1);
    await new Promise((resolve) => setTimeout(resolve, wait * 1000));
  }
  if (answered.status !== 201) throw new Error(`The gateway answered ${answered.status}.`);

  // 4. The answer, with the viewer's own address, and ICE servers where the gateway has some (TURN for strict firewalls).
  const resource = new URL(answered.headers.get("location") ?? "", answered.url).href;
  pc.setConfiguration({ iceServers: iceServers(answered.headers.get("link") ?? "") });
  await pc.setRemoteDescription({ type: "answer", sdp: await answered.text() });
  watching = { pc, resource, bearer };
}

/** 5. Whoever leaves says so; a viewer that vanishes is only noticed after a while. */
async function leave() {
  if (!watching) return;
  const { pc, resource, bearer } = watching;
  watching = null;
  video.srcObject = null;
  await fetch(resource, { method: "DELETE", headers: bearer, keepalive: true });
  pc.close();
}

/** `Link: <turn:host>; rel="ice-server"; username="u"; credential="c"`, several of them divided by commas. @param {string} link */
function iceServers(link) {
  return [...link.matchAll(/<([^>]+)>([^<]*)/g)].filter(([, , rest]) => rest?.includes('rel="ice-server"')).map(([, urls = "", rest = ""]) => ({
    urls,
    username: rest.match(/username="([^"]*)"/)?.[1],
    credential: rest.match(/credential="([^"]*)"/)?.[1],
  }));
}

const button = (/** @type {string} */ id) => /** @type {HTMLButtonElement} */ (document.getElementById(id));
const tell = (/** @type {string} */ text) => (/** @type {HTMLElement} */ (document.getElementById("told")).textContent = text);
button("watch").addEventListener("click", async () => {
  button("watch").disabled = true;
  tell("Starting");
  try {
    await watch();
    tell("Watching");
    button("leave").disabled = false;
  } catch (error) {
    tell(/** @type {Error} */ (error).message);
    button("watch").disabled = false;
  }
});
button("leave").addEventListener("click", async () => {
  button("leave").disabled = true;
  await leave();
  tell("Not watching");
  button("watch").disabled = false;
});
window.addEventListener("pagehide", () => void leave());
