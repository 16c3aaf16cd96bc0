// The video element: never black. Until the first frame the poster stands in for it, at a change of stream the last
// frame does.

export class Picture {
  #video;
  #still;
  #poster;
  #onFrame;
  #watching = false;
  /** Frames the browser showed. */
  shown = 0;
  /** performance.now() of the first frame, NaN before it. */
  firstFrameAt = Number.NaN;

  /**
   * @param {{ video: HTMLVideoElement, still: HTMLCanvasElement, poster: HTMLElement }} elements
   * @param {(first: boolean) => void} onFrame the first frame of a stream is on the screen; `first`: of all
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
    this.#awaitFrame();
  }

  /** Attaches the same stream again: some browsers stop showing it after a tab switch. */
  reattach() {
    const stream = this.#video.srcObject;
    if (stream instanceof MediaStream) this.attach(new MediaStream(stream.getTracks()));
  }

  /** Keeps the last frame on the screen. */
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
    this.#video.srcObject = null;
  }

  #play() {
    this.#video.play().catch(() => {});
  }

  #awaitFrame() {
    const stream = this.#video.srcObject;
    const arrived = () => {
      if (this.#video.srcObject !== stream) return;
      const first = Number.isNaN(this.firstFrameAt);
      if (first) this.firstFrameAt = performance.now();
      this.#still.hidden = true;
      this.#poster.classList.add("gone");
      this.#onFrame(first);
    };
    if (typeof this.#video.requestVideoFrameCallback !== "function") {
      this.#video.addEventListener("loadeddata", arrived, { once: true });
      this.#video.addEventListener("timeupdate", () => (this.shown += 1));
      return;
    }
    if (!this.#watching) {
      this.#watching = true;
      const count = () => {
        this.shown += 1;
        this.#video.requestVideoFrameCallback(count);
      };
      this.#video.requestVideoFrameCallback(count);
    }
    this.#video.requestVideoFrameCallback(arrived);
  }
}
