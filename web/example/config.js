// What to change first. `player` is the `url` that `POST /api/embeds` answered with: the embed's address and, after the #, its
// token. The token is no secret from your visitors (it works on your sites only, for as long and as often as you said), but
// it belongs in no log and in no query. `frame` and `whep` are the same for the other two ways; they may share one token.

const PLAYER = "https://play.example/embed/EMBED-ID#pge_TOKEN";

// Our tests, and the curious, bring other addresses in the fragment: #player=...&frame=...&whep=...
const brought = new URLSearchParams(location.hash.slice(1));
if (["player", "frame", "whep"].some((name) => brought.has(name))) history.replaceState(null, "", location.pathname + location.search);

export const player = brought.get("player") ?? PLAYER;
export const frame = brought.get("frame") ?? player;
export const whep = brought.get("whep") ?? player;
