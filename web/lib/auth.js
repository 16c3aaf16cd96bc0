// Getting a person in: the cookie there is, a guest's where guests may play, the configured sign-in page, or words
// that say how. Never reads or stores a user's token: that is the HTTP-only cookie's job.

import { ApiError, api } from "./api.js";

/** @typedef {import("./api.js").User} User */

/** Nobody is signed in and no silent way exists: the page shows how to get in. */
export class SignInNeeded extends Error {
  /** @param {import("./api.js").Providers} providers */
  constructor(providers) {
    super("You are not signed in.");
    this.name = "SignInNeeded";
    this.providers = providers;
  }
}

/**
 * The signed-in user; a guest is made where the server lets guests play. Leaves for the sign-in page when one is
 * configured (the promise then never settles). Throws SignInNeeded or ApiError.
 *
 * @returns {Promise<User>}
 */
export async function ensureSignedIn() {
  const session = await api.session();
  if (session?.user) return session.user;
  const providers = await api.providers();
  if (providers.guest) return (await api.guest()).user;
  if (providers.signInUrl) {
    location.assign(signInAddress(providers.signInUrl, location.href));
    return new Promise(() => {});
  }
  throw new SignInNeeded(providers);
}

/**
 * Runs `action`; when the sign-in has run out meanwhile, signs in again and runs it once more.
 *
 * @template T
 * @param {() => Promise<T>} action
 * @returns {Promise<T>}
 */
export async function signedIn(action) {
  try {
    return await action();
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 401) throw error;
    await ensureSignedIn();
    return action();
  }
}

/**
 * @param {string} signInUrl
 * @param {string} here
 */
export function signInAddress(signInUrl, here) {
  const url = new URL(signInUrl, here);
  url.searchParams.set("return", here);
  return url.href;
}
