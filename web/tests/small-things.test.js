import assert from "node:assert/strict";
import { test } from "node:test";
import { signInAddress } from "../lib/auth.js";
import { returnPath } from "../lib/return-path.js";
import { bytes, countdown, duration, endInWords, errorInWords, progressInWords } from "../lib/words.js";
import { directions } from "../player/dpad.js";
import { snippet } from "../player/embed-code.js";
import { padActive, padState, samePad } from "../player/pad-state.js";
import { fingerprintOf, withReceiverClock, withStereoOpus } from "../player/sdp.js";
import { readStats } from "../player/stats.js";
import { latestSlot } from "../play/slots.js";
import { readSecret } from "../signin/secret.js";

test("the code for a site is two lines: the module, and the stream", () => {
  const lines = snippet("https://play.test", "https://play.test/embed/1#pge_x").split("\n");
  assert.deepEqual(lines, [
    '<script type="module" src="https://play.test/embed.js"></script>',
    '<playgate-player src="https://play.test/embed/1#pge_x" controls></playgate-player>',
  ]);
});

test("after signing in one stays on this site", () => {
  const origin = "https://play.test";
  assert.equal(returnPath("/play/garden?x=1#y", origin), "/play/garden?x=1#y");
  assert.equal(returnPath("https://play.test/session/1/", origin), "/session/1/");
  for (const bad of [null, "", "https://evil.test/", "//evil.test/x", "/\\evil.test", "javascript:alert(1)", "/signin"]) {
    assert.equal(returnPath(bad, origin), "/", String(bad));
  }
  assert.equal(returnPath("/.//evil.test", origin).startsWith("//"), false);
});

test("the sign-in page is told where to come back to", () => {
  assert.equal(signInAddress("https://id.test/in?a=1", "http://p/x"), "https://id.test/in?a=1&return=http%3A%2F%2Fp%2Fx");
});

test("secrets are read from links, fragments and by hand", () => {
  assert.deepEqual(readSecret("https://p/signin#token=a.b.c"), { kind: "token", value: "a.b.c" });
  assert.deepEqual(readSecret("#code=1234"), { kind: "code", value: "1234" });
  assert.deepEqual(readSecret(" a.b.c "), { kind: "token", value: "a.b.c" });
  assert.deepEqual(readSecret("123456"), { kind: "code", value: "123456" });
  assert.equal(readSecret(""), null);
  assert.equal(readSecret("#other"), null);
});

test("numbers and codes become words", () => {
  assert.equal(progressInWords({ step: "downloading", percent: 42.6 }), "Downloading 43 %");
  assert.equal(progressInWords({ step: "something_new" }), "Something new");
  assert.equal(progressInWords(null), "Starting the game");
  assert.equal(duration(3_725), "1 h 2 min");
  assert.equal(duration(64), "1 min 4 s");
  assert.equal(countdown(61_000), "1:01");
  assert.equal(bytes(2_048), "2 kB");
  assert.match(errorInWords("rate_limited", null, 30), /30 seconds/);
  assert.equal(errorInWords("http_500", "Something broke.", null), "Something broke.");
  assert.match(endInWords("idle").text, /for a while/);
  assert.match(endInWords("media_failed").text, /picture and sound/);
});

test("continue means the slot played last", () => {
  const slot = (/** @type {number} */ number, /** @type {string | null} */ updatedAt) =>
    ({ id: `s${number}`, slot: number, empty: updatedAt === null, inUse: false, updatedAt, versionId: null, bytes: null });
  assert.equal(latestSlot([slot(1, "2026-01-01T00:00:00Z"), slot(2, "2026-03-01T00:00:00Z"), slot(3, null)])?.id, "s2");
  assert.equal(latestSlot([slot(1, null)]), null);
});

test("the offer asks for stereo once", () => {
  const sdp = "a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:9 G722/8000\r\n";
  const once = withStereoOpus(sdp);
  assert.match(once, /a=fmtp:111 minptime=10;useinbandfec=1;stereo=1\r\n/);
  assert.equal(withStereoOpus(once), once);
});

test("the receiver's clock is offered once for each format that reports losses", () => {
  const sdp = "a=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\na=rtpmap:97 rtx/90000\r\na=rtcp-fb:102 nack pli\r\n";
  const once = withReceiverClock(sdp);
  assert.deepEqual(once.match(/^a=rtcp-fb:\d+ rrtr\r$/gm), ["a=rtcp-fb:96 rrtr\r", "a=rtcp-fb:102 rrtr\r"]);
  assert.equal(withReceiverClock(once), once);
});

test("the fingerprint tells one peer of the gateway from the next", () => {
  assert.equal(fingerprintOf("v=0\r\na=fingerprint:sha-256 ab:CD\r\na=setup:passive\r\n"), "SHA-256 AB:CD");
  assert.equal(fingerprintOf("v=0\r\n"), "");
});

test("a thumb in a corner means two directions, in the middle none", () => {
  assert.deepEqual(directions(0, 0), []);
  assert.deepEqual(directions(1, 0), ["right"]);
  assert.deepEqual(directions(-1, 0), ["left"]);
  assert.deepEqual(directions(0, -1), ["up"]);
  assert.deepEqual(directions(-0.7, 0.7), ["left", "down"]);
  assert.deepEqual(directions(0.7, -0.7), ["right", "up"]);
});

test("a pad's snapshot has buttons as bits, axes without drift, triggers in full", () => {
  const button = (/** @type {number} */ value) => ({ pressed: value > 0.1, value });
  const state = padState(1, { buttons: [1, 0, 0, 0, 0, 0, 0.5, 1].map(button), axes: [0.05, -1, 0.5, 2] });
  assert.deepEqual(state, { pad: 1, buttons: 0b11000001, axes: [0, -32767, 16384, 32767], triggers: [128, 255] });
  assert.ok(padActive(state));
  assert.ok(!padActive(padState(0, { buttons: [], axes: [0.01] })));
  assert.ok(samePad(state, { ...state }));
});

test("statistics are rates since the last look", () => {
  const report = (/** @type {number} */ n) => [
    { id: "v", type: "inbound-rtp", kind: "video", codecId: "c", bytesReceived: n * 125_000, framesDecoded: n * 60, packetsReceived: n * 95, packetsLost: n * 5, totalDecodeTime: n * 0.3, jitterBufferDelay: n * 0.6, jitterBufferEmittedCount: n * 60 },
    { id: "c", type: "codec", mimeType: "video/H264" },
    { id: "t", type: "transport", selectedCandidatePairId: "p", srtpCipher: "AEAD_AES_128_GCM", dtlsState: "connected" },
    { id: "p", type: "candidate-pair", localCandidateId: "l", remoteCandidateId: "r", currentRoundTripTime: 0.004 },
    { id: "r", type: "remote-candidate", address: "2001:db8::1", port: 8080, protocol: "udp", candidateType: "host" },
  ];
  const first = readStats(report(1), 1_000, null);
  const { stats } = readStats(report(2), 2_000, first.raw);
  assert.equal(stats.kbps, 1_000);
  assert.equal(stats.fps, 60);
  assert.equal(stats.lossPercent, 5);
  assert.equal(Math.round(stats.decodeMs), 5);
  assert.equal(Math.round(stats.jitterBufferMs), 10);
  assert.equal(stats.roundTripMs, 4);
  assert.equal(stats.codec, "H264");
  assert.equal(stats.srtpCipher, "AEAD_AES_128_GCM");
  assert.equal(stats.remote, "[2001:db8::1]:8080 udp host");
  assert.equal(stats.local, null);
});
