// Where to go after signing in: only a path of this site, whatever the address bar says. Pure.

/**
 * @param {string | null | undefined} wanted a path or an address
 * @param {string} origin this site's origin
 * @returns {string} a path of this site that starts with exactly one slash
 */
export function returnPath(wanted, origin) {
  if (!wanted) return "/";
  try {
    const url = new URL(wanted, origin);
    if (url.origin !== origin || (url.protocol !== "https:" && url.protocol !== "http:")) return "/";
    const path = url.pathname.replace(/^\/+/, "/") + url.search + url.hash;
    return path.startsWith("/signin") ? "/" : path;
  } catch {
    return "/";
  }
}
