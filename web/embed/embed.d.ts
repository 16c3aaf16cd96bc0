/**
 * Types of `/embed.js`: a player of Playgate for any page.
 *
 * ```html
 * <script type="module" src="https://play.example/embed.js"></script>
 * <playgate-player src="https://play.example/embed/ID#pge_TOKEN" controls></playgate-player>
 * ```
 */

/** What is being done. `idle`: not in a page, or nobody has pressed Play. `failed`: refused, or it never ran; `play()` tries again. */
export type PlayerState = "idle" | "launching" | "connecting" | "playing" | "reconnecting" | "ended" | "failed";

/** What this viewer may do at the moment. */
export type Role = "player" | "spectator";

export interface StateDetail {
  readonly state: PlayerState;
  /** `null` before there is a visit. */
  readonly role: Role | null;
  /** True while nothing is heard: muted, or the browser waits for a click. */
  readonly muted: boolean;
  /** The game's, once it is known. */
  readonly title: string | null;
}

export interface ProgressDetail {
  /** As in the Sessions API: `placing`, `downloading`, `restoring_save`, `starting`, `connecting`, `waiting_for_picture`, ... */
  readonly step: string;
  /** 0-100 where it can be told. */
  readonly percent: number | null;
  /** The same as a sentence for people. */
  readonly words: string;
}

export interface FirstFrameDetail {
  /** Milliseconds since the visit was asked for. */
  readonly ms: number;
  /** Pixels. */
  readonly width: number;
  readonly height: number;
}

/** Somebody in the session. Names are made for showing; they are no accounts. */
export interface ControlHolder {
  /** 1-4. */
  readonly slot: number;
  readonly viewerId: string;
  readonly name: string;
  /** When a hot-seat ends, in Unix milliseconds. */
  readonly until?: number;
}

export interface ControlRequest {
  readonly viewerId: string;
  readonly name: string;
  readonly slot?: number;
}

/** Who holds the controls. */
export interface ControlDetail {
  readonly you: { readonly role: Role; readonly slot?: number; /** May give, take and refuse. */ readonly host: boolean };
  /** How many slots the game has. */
  readonly slots: number;
  readonly holders: readonly ControlHolder[];
  readonly requests: readonly ControlRequest[];
  /** How many watch. */
  readonly spectators: number;
}

/** Once a second while there is a picture. Rates are of the last second, sums of this connection. */
export interface StatisticsDetail {
  readonly codec: string | null;
  readonly width: number;
  readonly height: number;
  /** Picture and sound, in kbit/s. */
  readonly kbps: number;
  readonly fps: number;
  /** 0-100. */
  readonly lossPercent: number;
  /** `null` while unknown. */
  readonly roundTripMs: number | null;
  readonly jitterBufferMs: number;
  readonly framesDecoded: number;
  readonly framesDropped: number;
  readonly freezeCount: number;
  readonly frozenMs: number;
  readonly transport: "udp" | "tcp" | "relay" | null;
}

/** Figures of a stop. */
export interface EndFigures {
  readonly status: string;
  /** Seconds. */
  readonly duration: number;
  readonly cpuSeconds: number;
  readonly peakMemoryMb: number;
}

export interface EndDetail {
  /** `stopped_by_user`, `idle`, `ttl`, `game_exited`, `game_crashed`, `grant_ended`, `replaced`, `left`, ... */
  readonly reason: string | null;
  /** The reason in plain words, as the player shows them. */
  readonly title: string;
  readonly text: string;
  /** The gateway's own sentence, where it has one. */
  readonly detail: string | null;
  /** It never ran, or this viewer was shut out. */
  readonly failed: boolean;
  /** After a stop from here. */
  readonly figures: EndFigures | null;
}

export interface ErrorDetail {
  /**
   * Of the visit: `embed_unknown`, `embed_wrong_site`, `embed_expired`, `embed_revoked`, `embed_used_up`, `embed_over`,
   * `no_servers`, `rate_limited`, `network`. Of the element: `not_loaded`, `no_address`. While it plays: a wish that was refused.
   */
  readonly code: string;
  /** A sentence for people. */
  readonly message: string;
}

export interface PlaygatePlayerEventMap {
  state: CustomEvent<StateDetail>;
  progress: CustomEvent<ProgressDetail>;
  firstframe: CustomEvent<FirstFrameDetail>;
  control: CustomEvent<ControlDetail>;
  statistics: CustomEvent<StatisticsDetail>;
  end: CustomEvent<EndDetail>;
}

/** `error` is apart: every element has one, with a detail of its own. */
export interface PlaygatePlayerErrorMap {
  error: CustomEvent<ErrorDetail>;
}

export type PlaygatePlayerEvents = PlaygatePlayerEventMap & PlaygatePlayerErrorMap;

/** What a method's promise is rejected with. */
export class PlaygateError extends Error {
  constructor(code: string, message: string);
  /** As in `ErrorDetail`, and: `not_allowed`, `not_open`, `removed`, `reloaded`, `timeout`, the reason of an end. */
  readonly code: string;
}

/** `<playgate-player>`. A change of `src`, `embed`, `token` or `gateway` loads the player anew. */
export class PlaygatePlayerElement extends HTMLElement {
  static readonly observedAttributes: string[];

  /** The address of an embed, `https://play.example/embed/ID`. What is set may end in `#TOKEN`; what is read never does. */
  src: string;
  /** Instead of `src`: the embed's id... */
  embed: string;
  /** ...its token, which can be set; read, it is nothing... */
  set token(token: string);
  /** ...and the gateway, where this file does not come from it. */
  gateway: string;
  /** `click`: nothing is asked of the gateway before somebody presses Play, here or by `play()`; a visit may launch a game. */
  start: "load" | "click";
  /** Reading: nothing is heard. */
  muted: boolean;
  /** The player has a menu, in a strip beside the picture. Without it the picture has the whole frame. */
  controls: boolean;

  readonly state: PlayerState;
  readonly role: Role | null;

  /**
   * Picture and sound on, as far as the browser lets them, and the keys to the game; after an end or a refusal a visit is made
   * anew. Resolves when there is a picture.
   */
  play(): Promise<void>;
  mute(on?: boolean): Promise<void>;
  /** In and out. Browsers allow it only in a click or a key press. */
  fullscreen(): Promise<void>;
  /** Asks for the controls, of slot 1 to 4 or of any; whether they are given is told by `control`. */
  requestControl(slot?: number): Promise<void>;
  releaseControl(): Promise<void>;
  /** Saves and stops the game, where this visit may. Resolves when it has ended. */
  stop(): Promise<void>;

  addEventListener<K extends keyof PlaygatePlayerEvents>(
    type: K,
    listener: (this: PlaygatePlayerElement, event: PlaygatePlayerEvents[K]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener<K extends keyof HTMLElementEventMap>(
    type: K,
    listener: (this: PlaygatePlayerElement, event: HTMLElementEventMap[K]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions): void;
  removeEventListener<K extends keyof PlaygatePlayerEvents>(
    type: K,
    listener: (this: PlaygatePlayerElement, event: PlaygatePlayerEvents[K]) => void,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener<K extends keyof HTMLElementEventMap>(
    type: K,
    listener: (this: PlaygatePlayerElement, event: HTMLElementEventMap[K]) => void,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | EventListenerOptions): void;
}

export interface MountOptions {
  /** The whole address, with its token: `https://play.example/embed/ID#pge_TOKEN`. */
  src?: string;
  embed?: string;
  token?: string;
  gateway?: string;
  /** `load` where absent. */
  start?: "load" | "click";
  muted?: boolean;
  controls?: boolean;
  /** Of the frame, for assistive technology. */
  title?: string;
  /** Listeners, there before the first event. */
  on?: { [K in keyof PlaygatePlayerEvents]?: (event: PlaygatePlayerEvents[K]) => void };
}

/** Puts a player into an element of the page; what was in it goes. */
export function mount(element: Element, options: MountOptions): PlaygatePlayerElement;

declare global {
  interface HTMLElementTagNameMap {
    "playgate-player": PlaygatePlayerElement;
  }
}
