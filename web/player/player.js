// Composes one viewer's play: signaling, connection, picture, sound, input, controls. Pages start it with a session id
// and are told when it ends. What pages and tests may rely on:
//
//   <html data-state>     idle | launching | connecting | playing | reconnecting | ended | failed
//   window.playgate       { state, stats(): Promise<numbers>, last }; see numbers.js for the names
//   #play                 the launch card's button ("Play", "Continue")      [data-slot="1".."3"]  a slot's button
//   [data-delete="1"]     empties a slot (then #confirm-yes / #confirm-no)   [data-game=SLUG]      a catalogue card
//   #stage                takes keyboard, mouse and touch (focus it)         #video, #audio, #still, #poster
//   #status, #progress    what is being done, in words                       #error   what went wrong
//   #source-fault         why the source's video cannot be shown
//   #trouble, #tried      nothing connects: every host:port that was tried   #try-now #leave   #banner  reconnecting, in words
//   #edge, #handle        the strip beside the picture, and what opens and closes the menu there; Escape and Ctrl+Alt+M do, too
//   #bar                  #mute #volume #escape #keyboard #stats #fullscreen #invite #stop (then #confirm-yes / #confirm-no)
//   #stats-panel          the overlay                                        #badge   "Watching"
//   #people               who plays, how many watch; shows #control-panel  #ask #give-back #take-back
//   #control-panel        #control-requests [data-give=VIEWER] [data-turn=VIEWER] (1 minute) [data-deny=VIEWER]
//                         #control-holders [data-take=SLOT] #control-spectators #control-close; opened with the menu while
//                         somebody asks
//   #hot-seat             the time left of one
//   #pad, [data-key=HID]  on-screen pad                                      #sound-hint, #toast, #text-entry
//   #share                #role-player #role-spectator #share-duration #share-create #share-link #share-copy
//                         #share-list [data-revoke=ID] #share-close
//                         #embed-part #embed-site #embed-create #embed-code #embed-copy #embed-list
//   #still-there          #still-here #time-left
//   #ended[data-reason]   #ended-reason #ended-save[data-status] #figures #play-again #back
//   #busy                 another session runs: #join-running #stop-running (then #confirm-yes / #confirm-no)
//   #how-to-get-in, #signin-form #signin-secret
//
// What the page is doing is decided in `play-state.js`; nothing else sets `data-state` while a game is shown.
// Does not: end a session by itself. Only #stop does, and whoever calls `stopSession`.

import { ApiError, api } from "../lib/api.js";
import { Sound } from "./audio.js";
import { Captions } from "./captions.js";
import { Connection, sparePeer } from "./connection.js";
import { ControlView } from "./control.js";
import { wireControls } from "./controls.js";
import { showCursor } from "./cursor.js";
import { keepEdge } from "./edge.js";
import { Figures } from "./figures.js";
import { InputSender } from "./input-sender.js";
import { openInvite } from "./invite.js";
import { Keepalive } from "./keepalive.js";
import { fullscreenHint, menuHint } from "./menu-hint.js";
import { playNumbers } from "./numbers.js";
import { listenPage } from "./page-events.js";
import { Picture } from "./picture.js";
import { PlayState } from "./play-state.js";
import { Screen } from "./screen.js";
import { Seat } from "./seat.js";
import { SessionWatch } from "./session-watch.js";
import { Signaling, isFinal, signalingUrl } from "./signaling.js";
import { SourceFaults } from "./source-faults.js";
import { exposeForTests, setState, watchState } from "./state.js";
import { buildTheatre, showMuted } from "./theatre.js";
import { ScreenWake } from "./wake-lock.js";

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
 * @property {(outcome: Outcome) => void} onEnd called once
 * @property {(control: import("./signaling.js").ControlMessage) => void} [onControl] who plays, asks and watches, at every change
 * @property {boolean} [embedded] in somebody else's page: nobody is invited from there
 * @property {() => boolean} [bare] true while the page around has its own controls and ours are not shown
 * @property {(name: string, detail: any) => void} [onEvent] what goes on, for whoever shows it elsewhere: `state`, `progress`,
 *   `firstframe`, `sound` (nothing is heard), `statistics` (once a second), `error`
 */

export class Player {
  #options;
  #theatre = buildTheatre();
  #captions = new Captions(this.#theatre);
  #sourceFaults = new SourceFaults(this.#theatre.sourceFault, (words) => this.#captions.notice(words));
  #state = new PlayState();
  #sender = new InputSender(() => this.#keepalive?.input());
  #sound;
  #picture;
  #screen;
  #controls;
  #figures;
  #wake = new ScreenWake();
  #controlView;
  /** @type {import("./signaling.js").ControlMessage | null} the last one received */
  #control = null;
  /** @type {import("./peer.js").Peer | null} */
  #spare = null;
  /** @type {Signaling | null} */
  #signaling = null;
  /** @type {Connection | null} */
  #connection = null;
  /** @type {SessionWatch | null} */
  #watch = null;
  /** @type {Keepalive | null} */
  #keepalive = null;
  /** @type {import("./signaling.js").GameHints | null} */
  #game = null;
  #sessionId = "";
  #sessionStatus = "starting";
  /** @type {Outcome | null} */
  #outcome = null;
  #clickedAt = Number.NaN;
  /** @type {(() => void)[]} */
  #undo = [];
  // After the fields it reads: it may look for pads at once.
  #seat = new Seat(this.#theatre, this.#sender, () => this.#game);

  /** @param {PlayerOptions} options */
  constructor(options) {
    this.#options = options;
    const theatre = this.#theatre;
    options.place.replaceChildren(theatre.root);
    this.#sound = new Sound(theatre.audio, (waiting) => {
      theatre.soundHint.hidden = !waiting;
      this.#tell("sound", { muted: waiting || this.#sound.muted });
    });
    this.#picture = new Picture(theatre, (size) => this.#framed(size));
    this.#screen = new Screen(theatre, this.#captions, {
      tryNow: () => this.#tryNow(),
      leave: () => this.#finish({ reason: "left", detail: null, report: null, failed: false, save: null }),
      progress: (progress) => this.#tell("progress", progress),
    });
    this.#figures = new Figures(
      {
        connection: () => this.#connection,
        signaling: () => this.#signaling,
        picture: this.#picture,
        sender: this.#sender,
        panel: theatre.stats,
        clickedAt: () => this.#clickedAt,
      },
      {
        liveness: (verdict, cure) => this.#judged(verdict, cure),
        statistics: (statistics) => this.#tell("statistics", statistics),
        looked: (nowMs) => this.#step({ type: "tick", nowMs }),
      },
    );
    this.#controlView = new ControlView(theatre, this.#captions, {
      request: (slot) => this.requestControl(slot),
      release: () => this.releaseControl(),
      pass: (viewerId, seconds) => this.#signaling?.passControl(viewerId, seconds),
      deny: (viewerId) => this.#signaling?.denyControl(viewerId),
      take: (slot) => this.#signaling?.takeControl(slot),
    });
    this.#controls = wireControls(theatre, {
      sound: this.#sound,
      sender: this.#sender,
      onMenu: (open) => this.#controlView.menu(open),
      onStats: () => void this.#figures.look(),
      onInvite: () => openInvite(this.#sessionId, theatre.root),
      onFullscreen: () => this.#hint(fullscreenHint()),
      onStop: () => void this.stopSession(),
    });
    theatre.invite.hidden = theatre.stop.hidden = true;
    showMuted(theatre.mute, false);
    watchState((state) => this.#tell("state", { state }));
    exposeForTests(
      async () => this.#numbers(await this.#figures.read()),
      () => this.#numbers(this.#figures.last),
    );
  }

  /**
   * The person pressed Play: the picture's place is made.
   *
   * @param {{ title: string, poster: string | null, clickedAt: number }} show
   */
  prepare({ title, poster, clickedAt }) {
    this.#clickedAt = clickedAt;
    document.body.classList.add("showing");
    this.#step({ type: "launch" });
    this.named(title);
    this.poster(poster);
    this.#undo.push(keepEdge(this.#theatre, () => this.#game));
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
    this.#keepalive = new Keepalive(sessionId, this.#theatre.root, fresh);
    this.ownedBy(owner);
    this.#seat.expect(plays);
    this.#signaling = new Signaling({
      url: signalingUrl(sessionId, location),
      token,
      events: {
        message: (message) => this.#heard(message),
        down: () => this.#step({ type: "signaling", open: false }),
      },
    });
    this.#connection = new Connection(this.#signaling, {
      state: (state) => this.#linked(state),
      video: (stream) => this.#picture.attach(stream),
      audio: (stream) => this.#sound.attach(stream),
      channels: (channels) => this.#seat.connect(channels),
      trouble: (trouble) => this.#step({ type: "trouble", ...trouble }),
    });
    this.#watch = new SessionWatch(sessionId, {
      status: (status) => this.#polled(status),
      unreachable: () => this.#step({ type: "unreachable", tried: [location.host] }),
      // A stop by this page waits for its figures.
      end: (outcome) => !this.#theatre.stop.disabled && this.#finish(outcome),
    });
    // Dialled first: a peer takes as long to make as a connection takes to come up.
    this.#signaling.connect();
    this.#connection.start(this.#spare ?? sparePeer());
    this.#spare = null;
    this.#step({ type: "join", fresh });
    this.#listen();
  }

  /** @param {boolean} owner whoever owns the session may stop it and invite */
  ownedBy(owner) {
    this.#theatre.stop.hidden = !owner;
    this.#theatre.invite.hidden = !owner || this.#options.embedded === true;
  }

  /**
   * Asks for the controls. What comes of it is said by `onControl`.
   *
   * @param {number} [slot] 0-based; any, without one
   */
  requestControl(slot) {
    this.#signaling?.requestControl(slot);
  }

  /** Gives the controls back, or withdraws the request for them. */
  releaseControl() {
    this.#signaling?.releaseControl();
  }

  /** @param {string} words something to read, out of the way of the game */
  notice(words) {
    this.#captions.notice(words);
  }

  /** The launch failed: the theatre goes. */
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
   * Saves and stops the game, then shows the figures.
   *
   * @returns {Promise<unknown>} why it goes on, `null` when it does not
   */
  async stopSession() {
    if (this.#outcome) return null;
    this.#theatre.stop.disabled = true;
    this.#sender.releaseAll();
    this.#step({ type: "stopping", on: true });
    this.#figures.tellLast();
    try {
      const report = await api.stop(this.#sessionId);
      this.#finish({ reason: "stopped_by_user", detail: null, report, failed: false, save: report.save });
      return null;
    } catch (error) {
      this.#theatre.stop.disabled = false;
      this.#step({ type: "stopping", on: false });
      const message = String(/** @type {Error} */ (error).message);
      this.#captions.complain(message);
      this.#tell("error", { code: error instanceof ApiError ? error.code : "failed", message });
      return error;
    }
  }

  #listen() {
    this.#undo.push(listenPage({
      away: () => this.#sender.releaseAll(),
      back: () => {
        this.#figures.reset();
        this.#picture.wake();
        this.#hurry();
      },
      online: () => this.#hurry(),
    }));
    this.#figures.start();
    this.#seat.listen(() => this.#controls.toggle());
  }

  #hurry() {
    this.#signaling?.hurry();
    this.#connection?.hurry();
  }

  #tryNow() {
    this.#hurry();
    this.#watch?.hurry();
  }

  /**
   * The one way the page's state changes.
   *
   * @param {import("./play-state.js").PlayEvent} event
   */
  #step(event) {
    if (this.#outcome && event.type !== "end") return;
    const before = this.#state.view.page;
    if (!this.#state.step(event)) return;
    const { view } = this.#state;
    if (view.page === "reconnecting" && before !== "reconnecting") this.#picture.freeze();
    this.#screen.show(view);
    this.#sourceFaults.playing(view.page === "playing");
    this.#watch?.ask(this.#state.asks);
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
        this.#sourceFaults.tell(message.sourceFaults ?? []);
        this.#step({ type: "status", status: message.status, progress: message.progress });
        break;
      case "cursor":
        showCursor(this.#theatre.stage, message);
        break;
      case "rumble":
        this.#seat.gamepads.rumble(message);
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
        this.#picture.freeze();
        void this.#watch?.ended(message.reason);
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
    this.#step({ type: "signaling", open: true });
  }

  /** @param {import("./signaling.js").ControlMessage} control */
  #controlled(control) {
    const plays = control.you.role === "player";
    const rose = !this.#seat.plays && plays;
    this.#control = control;
    if (this.#seat.plays !== plays) this.#play(plays);
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
    this.#seat.take(plays);
    if (plays) this.#keepalive?.start();
    else if (!this.#control?.you.host) this.#keepalive?.stop();
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
    if (message.fatal && (message.code === "not_found" || message.code === "unauthorized")) {
      this.#step({ type: "signaling", open: false });
      this.#watch?.shutOut(message.code, message.message);
    } else if (message.code === "unsupported_codec" || (message.fatal && isFinal(message.code))) {
      this.#finish({ reason: message.code, detail: message.message, report: null, failed: true, save: null });
    }
  }

  /** @param {import("../lib/api.js").SessionStatus} status */
  #polled(status) {
    this.#sessionStatus = status.status;
    this.#sourceFaults.tell(status.sourceFaults ?? []);
    this.#keepalive?.lease(status.expiresAt);
    if (!this.#game) this.#theatre.title.textContent = status.gameTitle;
    this.#step({ type: "status", status: status.status, progress: status.progress });
  }

  /** @param {import("./connection.js").LinkState} state */
  #linked(state) {
    this.#figures.reset();
    this.#step({ type: "link", state, nowMs: performance.now() });
  }

  /** @param {import("./liveness.js").Verdict} verdict @param {import("./reviver.js").Cure | null} cure */
  #judged(verdict, cure) {
    if (verdict === "no-packets") this.#step({ type: "silent" });
    if (cure === "reattach") this.#picture.reattach();
    else if (cure) this.#connection?.revive(cure);
  }

  /** @param {{ width: number, height: number }} size @returns {boolean} whether it is a picture */
  #framed(size) {
    if (this.#outcome) return false;
    const { seen, flowing } = this.#state;
    if (flowing) return size.width > 0;
    if (size.width > 0) this.#connection?.flowing();
    this.#step({ type: "frame", ...size });
    // After the picture has counted this frame.
    if (!seen && this.#state.seen) queueMicrotask(() => this.#lit(size));
    return this.#state.flowing;
  }

  /** The first frame of all is on the screen. @param {{ width: number, height: number }} size */
  #lit(size) {
    this.#theatre.root.classList.add("lit");
    this.#controls.begin();
    this.#wake.hold();
    // Words about this picture count for more, and both would not fit.
    if (!this.#options.bare?.() && !this.#sourceFaults.noticed) this.#hint(menuHint(this.#seat.plays));
    this.#tell("firstframe", { ms: Math.round(this.#picture.firstFrameAt - this.#clickedAt), ...size });
    if (this.#seat.plays) api.firstFrame(this.#sessionId).catch(() => {});
  }

  /** @param {string | null} words */
  #hint(words) {
    if (words) this.#captions.notice(words);
  }

  /** @param {string} name @param {unknown} detail */
  #tell(name, detail) {
    this.#options.onEvent?.(name, detail);
  }

  /** @param {Outcome} outcome */
  #finish(outcome) {
    if (this.#outcome) return;
    this.#outcome = outcome;
    this.#teardown();
    this.#step({ type: "end", failed: outcome.failed });
    this.#theatre.root.classList.add("over");
    if (document.fullscreenElement) void document.exitFullscreen().catch(() => {});
    this.#options.onEnd(outcome);
  }

  #teardown() {
    this.#sender.releaseAll();
    this.#figures.stop();
    for (const undo of this.#undo.splice(0)) undo();
    this.#watch?.ask(false);
    // What the rest says while it stops must not start it again.
    this.#watch = null;
    this.#keepalive?.stop();
    this.#picture.stop();
    this.#sound.stop();
    this.#seat.stop();
    this.#connection?.stop();
    this.#signaling?.close();
    this.#spare?.close();
    this.#controls.stop();
    this.#controlView.stop();
    this.#wake.release();
    for (const dialog of this.#theatre.root.querySelectorAll("dialog")) dialog.close();
  }

  /** @param {import("./stats.js").Stats | null} stats */
  #numbers(stats) {
    return playNumbers(stats, {
      sessionId: this.#sessionId,
      sessionStatus: this.#sessionStatus,
      signaling: this.#signaling,
      connection: this.#connection,
      control: this.#control,
      sender: this.#sender,
      picture: this.#picture,
      clickedAt: this.#clickedAt,
      muted: this.#theatre.audio.muted,
      outcome: this.#outcome,
    });
  }
}
