// The video element: never black. Until the first frame the poster stands in for it, at a change of stream the last
// frame does.

/** How often a browser without frame callbacks is asked for its count of frames, in milliseconds. */
const COUNT_EVERY_MS = 250;

export class Picture {
  #video;
  #still;
  #poster;
  #onFrame;
  #watching = false;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #counting;
  /** Frames that counted. */
  shown = 0;
  /** performance.now() of the first frame that counted, NaN before it. */
  firstFrameAt = Number.NaN;

  /**
   * @param {{ video: HTMLVideoElement, still: HTMLCanvasElement, poster: HTMLElement }} elements
   * @param {(size: { width: number, height: number }) => boolean} onFrame the browser presented a frame. Empty ones are
   *   presented, too: false says that this one does not count
   */
  constructor({ video, still, poster }, onFrame) {
    this.#video = video;
    this.#still = still;
    this.#poster = poster;
    this.#onFrame = onFrame;
    video.muted = true;
  }

  /** @param {MediaStream} stream */
  attach(stream) {
    this.freeze();
    this.#video.srcObject = stream;
    this.#play();
    this.#watch();
  }

  /** Attaches the same stream again: some browsers stop showing it after a tab switch. */
  reattach() {
    const stream = this.#video.srcObject;
    if (stream instanceof MediaStream) this.attach(new MediaStream(stream.getTracks()));
  }

  /** Keeps the last frame on the screen until the next one that counts. */
  freeze() {
    const { videoWidth: width, videoHeight: height } = this.#video;
    if (!this.shown || !width || !height || !this.#still.hidden) return;
    this.#still.width = width;
    this.#still.height = height;
    this.#still.getContext("2d")?.drawImage(this.#video, 0, 0, width, height);
    this.#still.hidden = false;
  }

  /** Plays again if the browser paused it: a tab switch, a locked phone. */
  wake() {
    if (this.#video.srcObject && this.#video.paused) this.#play();
  }

  stop() {
    this.freeze();
    clearInterval(this.#counting);
    this.#video.srcObject = null;
  }

  #play() {
    this.#video.play().catch(() => {});
  }

  #watch() {
    if (this.#watching) return;
    this.#watching = true;
    const video = this.#video;
    if (typeof video.requestVideoFrameCallback === "function") {
      const look = (/** @type {number} */ _now, /** @type {VideoFrameCallbackMetadata} */ { width, height }) => {
        video.requestVideoFrameCallback(look);
        this.#presented(width, height);
      };
      video.requestVideoFrameCallback(look);
      return;
    }
    let counted = 0;
    this.#counting = setInterval(() => {
      const { totalVideoFrames } = video.getVideoPlaybackQuality();
      if (totalVideoFrames > counted) this.#presented(video.videoWidth, video.videoHeight);
      counted = totalVideoFrames;
    }, COUNT_EVERY_MS);
  }

  /** @param {number} width @param {number} height */
  #presented(width, height) {
    // An element that was given another stream has no size yet: the frame was the old one's.
    const real = this.#video.videoWidth > 0 && this.#video.videoHeight > 0;
    if (!this.#onFrame(real ? { width, height } : { width: 0, height: 0 })) return;
    this.shown += 1;
    if (Number.isNaN(this.firstFrameAt)) this.firstFrameAt = performance.now();
    this.#still.hidden = true;
    this.#poster.classList.add("gone");
  }
}
