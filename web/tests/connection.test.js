import assert from "node:assert/strict";
import { test } from "node:test";

/** As much of a browser's peer connection as `Peer` uses. */
class FakePeerConnection extends EventTarget {
  connectionState = "new";
  signalingState = "stable";
  /** @type {any} */
  localDescription = null;
  addTransceiver = () => ({ receiver: {} });
  getReceivers = () => [];
  createDataChannel = () => new EventTarget();
  createOffer = async () => ({ sdp: "v=0\r\n" });
  setLocalDescription = async (/** @type {any} */ description) => (this.localDescription = description);
  setRemoteDescription = async () => {};
  close() {
    this.connectionState = "closed";
  }
  /** @param {string} state */
  become(state) {
    this.connectionState = state;
    this.dispatchEvent(new Event("connectionstatechange"));
  }
}
Object.assign(globalThis, { RTCPeerConnection: FakePeerConnection });
const { Connection, sparePeer } = await import("../player/connection.js");

/** A connection that has been connected; what it told, and how many offers it has made. */
async function connected() {
  /** @type {string[]} */
  const told = [];
  let offers = 0;
  const welcome = { iceServers: [], media: [] };
  const signaling = { open: true, url: "ws://play.test/session/1/signal", welcome, offer: () => (offers += 1), hurry() {} };
  const silent = () => {};
  const connection = new Connection(/** @type {any} */ (signaling), {
    state: (state) => told.push(state), video: silent, audio: silent, channels: silent, trouble: () => told.push("trouble"),
  });
  const peer = sparePeer();
  const pc = /** @type {FakePeerConnection} */ (/** @type {unknown} */ (peer.pc));
  connection.start(peer);
  connection.welcomed(/** @type {any} */ (welcome));
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  await settle();
  await connection.answered(1, "v=0\r\n");
  pc.become("connected");
  return { connection, pc, told, settle, offers: () => offers };
}

test("an ICE restart of a link that is up does not take it down", async () => {
  const { connection, told, settle, offers } = await connected();
  connection.revive("restart-ice");
  await settle();
  assert.equal(offers(), 2);
  assert.deepEqual(told, ["connecting", "connected"]);
  connection.stop();
});

test("a peer that delivers frames and says that it is connected is connected", async () => {
  const { connection, pc, told } = await connected();
  connection.flowing();
  pc.become("disconnected");
  connection.flowing();
  assert.deepEqual(told, ["connecting", "connected", "reconnecting"], "the browser says otherwise");
  pc.connectionState = "connected";
  connection.flowing();
  assert.deepEqual(told, ["connecting", "connected", "reconnecting", "connected"]);
  connection.stop();
});
