// Composes one viewer's play: signaling, connection, picture, sound, input, controls. Pages start it with a session id
// and are told when it ends. What pages and tests may rely on:
//
//   <html data-state>     idle | launching | connecting | playing | reconnecting | ended | failed
//   window.playgate       { state, stats(): Promise<numbers>, last }; see `#numbers` below for the names
//   #play                 the launch card's button ("Play", "Continue")      [data-slot="1".."3"]  a slot's button
//   [data-delete="1"]     empties a slot (then #confirm-yes / #confirm-no)   [data-game=SLUG]      a catalogue card
//   #stage                takes keyboard, mouse and touch (focus it)         #video, #audio, #still, #poster
//   #status, #progress    what is being done, in words                       #error   what went wrong
//   #trouble, #tried      nothing connects: every host:port that was tried   #banner  reconnecting, in words
//   #bar                  #mute #volume #escape #keyboard #stats #fullscreen #invite #stop; #handle brings it (touch)
//   #stats-panel          the overlay                                        #badge   "Watching"
//   #people               who plays, how many watch; shows #control-panel  #ask #give-back #take-back
//   #control-panel        #control-requests [data-give=VIEWER] [data-turn=VIEWER] (1 minute) [data-deny=VIEWER]
//                         #control-holders [data-take=SLOT] #control-spectators #control-close
//   #hot-seat             the time left of one
//   #pad, [data-key=HID]  on-screen pad                                      #sound-hint, #toast, #text-entry
//   #share                #role-player #role-spectator #share-duration #share-create #share-link #share-copy
//                         #share-list [data-revoke=ID] #share-close
//                         #embed-part #embed-site #embed-create #embed-code #embed-copy #embed-list
//   #still-there          #still-here #time-left
//   #ended[data-reason]   #ended-reason #ended-save[data-status] #figures #play-again #back
//   #busy                 another session runs: #join-running #stop-running
//   #how-to-get-in, #signin-form #signin-secret
//
// Never ends a session by itself: only #stop does, and whoever calls `stopSession`.

import { ApiError, api } from "../lib/api.js";
import { endInWords, progressInWords } from "../lib/words.js";
import { Sound } from "./audio.js";
import { Captions } from "./captions.js";
import { Connection, sparePeer } from "./connection.js";
import { ControlView } from "./control.js";
import { wireControls } from "./controls.js";
import { showCursor } from "./cursor.js";
import { Gamepads } from "./gamepad.js";
import { InputSender } from "./input-sender.js";
import { openInvite } from "./invite.js";
import { Keepalive } from "./keepalive.js";
import { listenKeyboard } from "./keyboard.js";
import { listenPage } from "./page-events.js";
import { Picture } from "./picture.js";
import { listenPointer } from "./pointer.js";
import { QualityMeter } from "./quality.js";
import { Reviver } from "./reviver.js";
import { SessionPoller, isEnded } from "./session-poller.js";
import { Signaling, isFinal, signalingUrl } from "./signaling.js";
import { pageState, exposeForTests, setState, watchState } from "./state.js";
import { showStats } from "./stats-panel.js";
import { StatsReader } from "./stats.js";
import { listenTextEntry } from "./text-entry.js";
import { buildTheatre, showMuted } from "./theatre.js";
import { showTouchpad } from "./touchpad.js";
import { showTrouble } from "./trouble.js";
import { ScreenWake } from "./wake-lock.js";

/** How often the numbers are looked at, in milliseconds. */
const LOOK_MS = 1_000;

/**
 * @typedef {object} Outcome
 * @property {string | null} reason the server's end reason, or an error code of signaling
 * @property {string | null} detail
 * @property {import("../lib/api.js").StopReport | null} report
 * @property {boolean} failed it never ran, or this viewer was refused
 * @property {import("../lib/api.js").Save | null} save
 */
/**
 * @typedef {object} PlayerOptions
 * @property {HTMLElement} place where the theatre is put
 * @property {(outcome: Outcome) => void} onEnd told once
 * @property {(control: import("./signaling.js").ControlMessage) => void} [onControl] who plays, asks and watches, at every change
 * @property {boolean} [embedded] in somebody else's page: nobody is invited from there
 * @property {(name: string, detail: any) => void} [onEvent] what goes on, for whoever shows it elsewhere: `state`, `progress`,
 *   `firstframe`, `sound` (nothing is heard), `statistics` (once a second), `error`
 */

export class Player {
  #options;
  #theatre = buildTheatre();
  #captions = new Captions(this.#theatre);
  #sender = new InputSender(() => this.#keepalive?.input());
  #sound;
  #picture;
  #controls;
  #stats = new StatsReader();
  #quality = new QualityMeter();
  #reviver = new Reviver();
  #wake = new ScreenWake();
  #controlView;
  /** @type {import("./signaling.js").ControlMessage | null} the last that was told */
  #control = null;
  /** @type {import("./peer.js").Channels | null} open, whether we play or not */
  #channels = null;
  #plays = false;
  /** @type {import("./peer.js").Peer | null} */
  #spare = null;
  /** @type {Signaling | null} */
  #signaling = null;
  /** @type {Connection | null} */
  #connection = null;
  /** @type {SessionPoller | null} */
  #poller = null;
  /** @type {Keepalive | null} */
  #keepalive = null;
  /** @type {import("./signaling.js").GameHints | null} */
  #game = null;
  /** @type {import("../lib/api.js").Progress | null} */
  #progress = null;
  #sessionId = "";
  #sessionStatus = "starting";
  /** @type {Outcome | null} */
  #outcome = null;
  #clickedAt = Number.NaN;
  /** @type {(() => void)[]} */
  #undo = [];
  // After the fields it reads: it may look for pads at once.
  #gamepads = new Gamepads(this.#sender, () => this.#game?.pads ?? 1);

  /** @param {PlayerOptions} options */
  constructor(options) {
    this.#options = options;
    const theatre = this.#theatre;
    options.place.replaceChildren(theatre.root);
    this.#sound = new Sound(theatre.audio, (waiting) => {
      theatre.soundHint.hidden = !waiting;
      this.#tell("sound", { muted: waiting || this.#sound.muted });
    });
    this.#picture = new Picture(theatre, (first) => this.#framed(first));
    this.#controls = wireControls(theatre, {
      sound: this.#sound,
      sender: this.#sender,
      onStats: () => void this.#look(),
      onInvite: () => openInvite(this.#sessionId, theatre.root),
      onStop: () => void this.stopSession(),
    });
    this.#controlView = new ControlView(theatre, this.#captions, {
      request: (slot) => this.requestControl(slot),
      release: () => this.releaseControl(),
      pass: (viewerId, seconds) => this.#signaling?.passControl(viewerId, seconds),
      deny: (viewerId) => this.#signaling?.denyControl(viewerId),
      take: (slot) => this.#signaling?.takeControl(slot),
    });
    theatre.invite.hidden = theatre.stop.hidden = true;
    showMuted(theatre.mute, false);
    watchState((state) => this.#tell("state", { state }));
    exposeForTests(
      async () => this.#numbers(await this.#stats.look(this.#connection?.pc ?? null)),
      () => this.#numbers(this.#stats.last),
    );
  }

  /**
   * The person pressed Play: the picture's place is made.
   *
   * @param {{ title: string, poster: string | null, clickedAt: number }} show
   */
  prepare({ title, poster, clickedAt }) {
    this.#clickedAt = clickedAt;
    setState("launching");
    document.body.classList.add("showing");
    this.named(title);
    this.poster(poster);
    this.#captions.say(progressInWords(null));
    // Not before the session is asked for: the browser lays the page out for it.
    queueMicrotask(() => this.#takeKeys());
  }

  /** Makes the peer ahead, while the session is still being launched. */
  warm() {
    this.#spare = sparePeer();
  }

  /** @param {string} title of the game */
  named(title) {
    this.#theatre.title.textContent = title;
  }

  /** @param {string | null} address of the picture that stands in for the game's; a missing one is left out */
  poster(address) {
    const { poster } = this.#theatre;
    if (!address) return;
    poster.addEventListener("load", () => (poster.hidden = false), { once: true });
    poster.src = address;
  }

  /**
   * Joins a session, running or still starting.
   *
   * @param {{ sessionId: string, token: string | null, owner: boolean, fresh: boolean, plays?: boolean }} session `plays`: as far
   *   as is known before the gateway has said so
   */
  join({ sessionId, token, owner, fresh, plays = true }) {
    this.#sessionId = sessionId;
    if (!fresh) setState("connecting");
    this.#keepalive = new Keepalive(sessionId, this.#theatre.root, fresh);
    this.ownedBy(owner);
    this.#plays = plays;
    this.#signaling = new Signaling({
      url: signalingUrl(sessionId, location),
      token,
      events: {
        message: (message) => this.#heard(message),
        down: (failed) => this.#signalingDown(failed),
      },
    });
    this.#connection = new Connection(this.#signaling, {
      state: (state) => this.#linkChanged(state),
      video: (stream) => this.#picture.attach(stream),
      audio: (stream) => this.#sound.attach(stream),
      channels: (channels) => {
        this.#channels = channels;
        this.#bind();
      },
      trouble: (trouble) => showTrouble(this.#theatre.trouble, trouble),
    });
    this.#poller = new SessionPoller({
      get: () => api.status(sessionId),
      onStatus: (status) => this.#polled(status),
      onError: (error) => this.#pollFailed(error),
    });
    // Dialled first: a peer takes as long to make as a connection takes to come up.
    this.#signaling.connect();
    this.#connection.start(this.#spare ?? sparePeer());
    this.#spare = null;
    this.#poller.start();
    this.#listen();
  }

  /** @param {boolean} owner whoever owns the session may stop it and invite */
  ownedBy(owner) {
    this.#theatre.stop.hidden = !owner;
    this.#theatre.invite.hidden = !owner || this.#options.embedded === true;
  }

  /**
   * Asks for the controls. What comes of it is told by `onControl`.
   *
   * @param {number} [slot] 0-based; any, without one
   */
  requestControl(slot) {
    this.#signaling?.requestControl(slot);
  }

  /** Gives the controls back, or asks for them no longer. */
  releaseControl() {
    this.#signaling?.releaseControl();
  }

  /** @param {string} words something to read, out of the way of the game */
  notice(words) {
    this.#captions.notice(words);
  }

  /** The launch did not come about: the theatre is put away. */
  dismiss() {
    this.#teardown();
    document.body.classList.remove("showing");
    setState("idle");
  }

  /** @param {boolean} muted */
  mute(muted) {
    this.#sound.mute(muted);
    showMuted(this.#theatre.mute, muted);
  }

  /** Somebody pressed a button for it elsewhere: picture and sound on, as far as the browser lets them, and keys to the game. */
  play() {
    this.#picture.wake();
    if (!this.#sound.muted) this.#sound.mute(false);
    this.focus();
  }

  focus() {
    this.#theatre.stage.focus({ preventScroll: true });
  }

  /**
   * Saves and stops the game, then tells the figures.
   *
   * @returns {Promise<unknown>} why it goes on, `null` when it does not
   */
  async stopSession() {
    if (this.#outcome) return null;
    this.#theatre.stop.disabled = true;
    this.#poller?.stop();
    this.#sender.releaseAll();
    this.#captions.banner("Saving and stopping the game");
    this.#tellLastQuality();
    try {
      const report = await api.stop(this.#sessionId);
      this.#finish({ reason: "stopped_by_user", detail: null, report, failed: false, save: report.save });
      return null;
    } catch (error) {
      this.#theatre.stop.disabled = false;
      this.#captions.banner(null);
      const message = String(/** @type {Error} */ (error).message);
      this.#captions.complain(message);
      this.#tell("error", { code: error instanceof ApiError ? error.code : "failed", message });
      this.#poller?.start({ untilEnd: true });
      return error;
    }
  }

  #listen() {
    const { stage, video, textEntry } = this.#theatre;
    this.#undo.push(listenPage({
      away: () => this.#sender.releaseAll(),
      back: () => {
        this.#reviver.reset();
        this.#picture.wake();
        this.#signaling?.hurry();
        this.#connection?.hurry();
      },
      online: () => {
        this.#signaling?.hurry();
        this.#connection?.hurry();
      },
    }));
    const looking = setInterval(() => void this.#look().then(() => this.#tellStatistics()), LOOK_MS);
    this.#undo.push(() => clearInterval(looking));
    this.#undo.push(listenKeyboard(stage, this.#sender, () => this.#controls.enter()));
    this.#undo.push(listenPointer({ stage, video, sender: this.#sender, game: () => this.#game }));
    listenTextEntry(textEntry, this.#sender);
  }

  /** @param {import("./signaling.js").ServerMessage} message */
  #heard(message) {
    switch (message.type) {
      case "welcome":
        this.#welcomed(message);
        break;
      case "answer":
        void this.#connection?.answered(message.id, message.sdp);
        break;
      case "status":
        this.#sessionStatus = message.status;
        if (message.progress) this.#progress = message.progress;
        this.#showWaiting();
        if (message.status === "stopping") this.#captions.banner("The game is being saved and stopped");
        break;
      case "cursor":
        showCursor(this.#theatre.stage, message);
        break;
      case "rumble":
        this.#gamepads.rumble(message);
        break;
      case "control":
        this.#controlled(message);
        break;
      case "saved":
        this.#captions.toast("Saved");
        break;
      case "error":
        this.#refused(message);
        break;
      case "end":
        void this.#ended(message.reason);
        break;
      case "pong":
        break;
    }
  }

  /** @param {import("./signaling.js").Welcome} welcome */
  #welcomed(welcome) {
    this.#game = welcome.game;
    this.#theatre.title.textContent = welcome.game.title;
    document.title = `${welcome.game.title} – Playgate`;
    this.#play(welcome.role === "player");
    this.#connection?.welcomed(welcome);
    if (pageState() === "playing") this.#poller?.stop();
  }

  /** @param {import("./signaling.js").ControlMessage} control */
  #controlled(control) {
    const rose = !this.#plays && control.you.role === "player";
    this.#control = control;
    if (this.#plays !== (control.you.role === "player")) this.#play(!this.#plays);
    // A host's session is kept by its page, whoever plays.
    if (control.you.host) this.#keepalive?.start();
    this.#controlView.show(control, this.#signaling?.welcome?.viewerId ?? "");
    // Whoever was given the controls may use them at once.
    if (rose && document.activeElement === document.body) this.#takeKeys();
    this.#options.onControl?.(control);
  }

  /** The keys go to the game, but not out of the hands of somebody who writes in the page around a frame. */
  #takeKeys() {
    if (!this.#options.embedded || document.hasFocus()) this.focus();
  }

  /** @param {boolean} plays from now on, or only watches */
  #play(plays) {
    const { badge, stage, pad, escape, keyboard } = this.#theatre;
    const title = this.#game?.title ?? "the game";
    this.#plays = plays;
    badge.hidden = plays;
    escape.hidden = keyboard.hidden = !plays;
    stage.setAttribute("role", plays ? "application" : "img");
    if (plays) {
      stage.setAttribute("aria-roledescription", "stage");
      stage.setAttribute("aria-label", "The game. Keys go to it; Escape leaves.");
      this.#keepalive?.start();
    } else {
      stage.removeAttribute("aria-roledescription");
      stage.setAttribute("aria-label", `Picture of ${title}. You are watching.`);
      if (!this.#control?.you.host) this.#keepalive?.stop();
      document.exitPointerLock?.();
    }
    const coarse = matchMedia("(pointer: coarse)").matches;
    showTouchpad(pad, plays && coarse ? (this.#game?.touch ?? []) : [], this.#sender);
    this.#bind();
    this.#gamepads.look();
  }

  /** Input has somewhere to go while we play and the channels are open. */
  #bind() {
    const channels = this.#plays ? this.#channels : null;
    if (!channels) this.#sender.releaseAll();
    this.#sender.bind(channels);
    if (channels) this.#gamepads.announce();
  }

  /** @param {import("./signaling.js").ErrorMessage} message */
  #refused(message) {
    if (message.code === "not_allowed") {
      this.#captions.notice(message.message);
      this.#tell("error", { code: message.code, message: message.message });
      return;
    }
    if (message.code === "media_ended") {
      this.#connection?.mediaEnded();
      return;
    }
    if (message.code === "invalid_offer" || (message.offer !== undefined && !isFinal(message.code))) {
      this.#connection?.offerRefused(message.offer);
      return;
    }
    if (!message.fatal) this.#tell("error", { code: message.code, message: message.message });
    if (message.fatal && isFinal(message.code)) {
      this.#finish({ reason: message.code, detail: message.message, report: null, failed: true, save: null });
    } else if (message.code === "unsupported_codec") {
      this.#finish({ reason: message.code, detail: message.message, report: null, failed: true, save: null });
    }
  }

  /** @param {number} failed */
  #signalingDown(failed) {
    // Whether the session still lives is then only told by its status.
    if (failed >= 2) this.#poller?.start({ untilEnd: true });
  }

  /** @param {import("../lib/api.js").SessionStatus} status */
  #polled(status) {
    this.#sessionStatus = status.status;
    this.#progress = status.progress ?? this.#progress;
    this.#keepalive?.lease(status.expiresAt);
    if (isEnded(status.status)) {
      this.#finish({ reason: status.endReason, detail: status.endDetail, report: null, failed: status.status === "error", save: status.save });
      return;
    }
    if (!this.#game) this.#theatre.title.textContent = status.gameTitle;
    this.#showWaiting();
  }

  /** @param {unknown} error @returns {boolean} */
  #pollFailed(error) {
    if (!(error instanceof ApiError) || (error.status !== 404 && error.status !== 401)) return true;
    this.#finish({ reason: error.status === 404 ? "not_found" : "unauthorized", detail: null, report: null, failed: true, save: null });
    return false;
  }

  /** @param {import("./connection.js").LinkState} state */
  #linkChanged(state) {
    if (this.#outcome) return;
    this.#reviver.reset();
    if (state === "reconnecting") {
      this.#picture.freeze();
      setState("reconnecting");
      this.#captions.banner("Reconnecting. The game is still running.");
    } else if (state === "connected") {
      this.#captions.banner(null);
      if (this.#picture.shown > 0) {
        this.#theatre.still.hidden = true;
        setState("playing");
      }
      this.#showWaiting();
    }
  }

  /** @param {boolean} first of all, not only of this stream */
  #framed(first) {
    if (this.#outcome) return;
    setState("playing");
    this.#captions.banner(null);
    this.#theatre.curtain.hidden = true;
    showTrouble(this.#theatre.trouble, null);
    if (!first) return;
    this.#theatre.root.classList.add("lit");
    this.#controls.show();
    this.#wake.hold();
    const { videoWidth: width, videoHeight: height } = this.#theatre.video;
    this.#tell("firstframe", { ms: Math.round(this.#picture.firstFrameAt - this.#clickedAt), width, height });
    if (this.#plays) api.firstFrame(this.#sessionId).catch(() => {});
  }

  /** Until the first frame: what is being done. */
  #showWaiting() {
    if (this.#outcome || this.#picture.shown > 0) return;
    if (this.#sessionStatus === "running" && pageState() === "launching") setState("connecting");
    const connected = this.#connection?.state === "connected";
    const running = this.#sessionStatus === "running";
    const words = !running ? progressInWords(this.#progress) : connected ? "Waiting for the picture" : "Connecting";
    const percent = running ? null : (this.#progress?.percent ?? null);
    this.#captions.say(words, percent);
    const step = !running ? (this.#progress?.step ?? "starting") : connected ? "waiting_for_picture" : "connecting";
    this.#tell("progress", { step, percent, words });
  }

  /** @param {string} name @param {unknown} detail */
  #tell(name, detail) {
    this.#options.onEvent?.(name, detail);
  }

  async #look() {
    const pc = this.#connection?.pc ?? null;
    const stats = await this.#stats.look(pc).catch(() => null);
    if (this.#outcome) return;
    if (!this.#theatre.stats.hidden) {
      showStats(this.#theatre.stats, stats, { signalingMs: this.#signaling?.roundTripMs ?? Number.NaN, inputDropped: this.#sender.dropped });
    }
    if (!stats || this.#connection?.state !== "connected" || this.#picture.shown === 0) return;
    this.#tellQuality(stats, false);
    const cure = this.#reviver.feed({
      nowMs: performance.now(),
      packets: stats.packetsReceived,
      frames: stats.framesDecoded,
      shown: this.#picture.shown,
      hidden: document.hidden,
    });
    if (cure === "reattach") this.#picture.reattach();
    else if (cure) this.#connection.revive(cure);
  }

  #tellStatistics() {
    const stats = this.#stats.last;
    if (!stats || this.#outcome || this.#picture.shown === 0) return;
    const { codec, width, height, kbps, fps, lossPercent, roundTripMs, jitterBufferMs, framesDecoded, framesDropped, freezeCount, frozenMs, transport } = stats;
    const roundTrip = Number.isFinite(roundTripMs) ? roundTripMs : null;
    const told = { codec, width, height, kbps, fps, lossPercent, roundTripMs: roundTrip, jitterBufferMs, framesDecoded, framesDropped, freezeCount, frozenMs, transport };
    this.#tell("statistics", told);
  }

  #tellLastQuality() {
    if (this.#stats.last && this.#picture.shown > 0) this.#tellQuality(this.#stats.last, true);
  }

  /** @param {import("./stats.js").Stats} stats @param {boolean} last */
  #tellQuality(stats, last) {
    const { at, bytesReceived, packetsReceived, packetsLost, frozenMs, roundTripMs, transport } = stats;
    const firstFrameMs = this.#picture.firstFrameAt - this.#clickedAt;
    const sums = { nowMs: at, bytes: bytesReceived, packets: packetsReceived, lost: packetsLost, frozenMs, firstFrameMs, roundTripMs, transport };
    const report = this.#quality.feed(sums, last);
    if (report) this.#signaling?.quality(report);
  }

  /** @param {string | null} reason */
  async #ended(reason) {
    if (this.#outcome) return;
    /** @type {string | null} */
    let detail = null;
    /** @type {import("../lib/api.js").Save | null} */
    let save = null;
    let failed = reason === "launch_failed" || reason === "launch_timeout";
    this.#picture.freeze();
    try {
      const status = await api.status(this.#sessionId);
      detail = status.endDetail;
      save = status.save;
      failed = status.status === "error";
      if (status.endReason) reason = status.endReason;
    } catch {
      // The reason from signaling says enough.
    }
    // A stop by this page waits for its figures.
    if (this.#theatre.stop.disabled) return;
    this.#finish({ reason, detail, report: null, failed, save });
  }

  /** @param {Outcome} outcome */
  #finish(outcome) {
    if (this.#outcome) return;
    this.#outcome = outcome;
    this.#teardown();
    setState(outcome.failed ? "failed" : "ended");
    this.#theatre.root.classList.add("over");
    if (document.fullscreenElement) void document.exitFullscreen().catch(() => {});
    this.#options.onEnd(outcome);
  }

  #teardown() {
    this.#sender.releaseAll();
    this.#tellLastQuality();
    for (const undo of this.#undo.splice(0)) undo();
    this.#poller?.stop();
    this.#keepalive?.stop();
    this.#picture.stop();
    this.#sound.stop();
    this.#gamepads.stop();
    this.#connection?.stop();
    this.#signaling?.close();
    this.#spare?.close();
    this.#controls.stop();
    this.#controlView.stop();
    this.#wake.release();
    for (const dialog of this.#theatre.root.querySelectorAll("dialog")) dialog.close();
    this.#captions.banner(null);
    showTrouble(this.#theatre.trouble, null);
    this.#theatre.curtain.hidden = true;
  }

  /** @param {import("./stats.js").Stats | null} stats @returns {Record<string, unknown>} */
  #numbers(stats) {
    const { firstFrameAt, shown } = this.#picture;
    const ms = (/** @type {number} */ value) => (Number.isFinite(value) ? value : null);
    return {
      ...stats,
      state: pageState(),
      sessionId: this.#sessionId,
      viewerId: this.#signaling?.welcome?.viewerId ?? null,
      role: this.#control?.you.role ?? this.#signaling?.welcome?.role ?? null,
      slot: (this.#control ? this.#control.you.slot : this.#signaling?.welcome?.slot) ?? null,
      control: this.#control,
      sessionStatus: this.#sessionStatus,
      link: this.#connection?.state ?? "idle",
      inputOpen: this.#sender.open,
      inputSent: this.#sender.sent,
      framesShown: shown,
      clickedAt: ms(this.#clickedAt),
      firstFrameAt: ms(firstFrameAt),
      firstFrameMs: ms(firstFrameAt - this.#clickedAt),
      muted: this.#theatre.audio.muted,
      signalingMs: ms(this.#signaling?.roundTripMs ?? Number.NaN),
      endReason: this.#outcome?.reason ?? null,
      endWords: this.#outcome ? endInWords(this.#outcome.reason).text : null,
    };
  }
}
