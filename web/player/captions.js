// Words over the picture: what is being done, a banner while something is not as it should be, short notices that go
// by themselves. Knows the theatre's elements, decides nothing.

/** How long short words and whole sentences are shown, in milliseconds. */
const TOAST_MS = 2_000;
const NOTICE_MS = 10_000;

export class Captions {
  #theatre;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #toasting;

  /** @param {import("./theatre.js").Theatre} theatre */
  constructor(theatre) {
    this.#theatre = theatre;
  }

  /** @param {string} words @param {number | null} [percent] */
  say(words, percent = null) {
    const { status, progress } = this.#theatre;
    if (status.textContent !== words) status.textContent = words;
    if (percent === null) progress.removeAttribute("value");
    else progress.value = percent;
  }

  /** @param {string | null} words */
  banner(words) {
    const { banner } = this.#theatre;
    banner.hidden = words === null;
    // Said again it would be read out again.
    if (banner.textContent !== (words ?? "")) banner.textContent = words ?? "";
  }

  /** @param {string} words a few of them */
  toast(words) {
    this.#flash(words, TOAST_MS);
  }

  /** @param {string} words a sentence */
  notice(words) {
    this.#flash(words, NOTICE_MS);
  }

  /** @param {string} words what went wrong */
  complain(words) {
    const { error } = this.#theatre;
    error.textContent = words;
    error.hidden = false;
    setTimeout(() => (error.hidden = true), NOTICE_MS);
  }

  /** @param {string} words @param {number} forMs */
  #flash(words, forMs) {
    const { toast } = this.#theatre;
    toast.textContent = words;
    toast.classList.add("shown");
    clearTimeout(this.#toasting);
    this.#toasting = setTimeout(() => toast.classList.remove("shown"), forMs);
  }
}
