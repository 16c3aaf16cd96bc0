// `embed.js` itself, checked to be what `embed.d.ts` says it is: the compiler sees the script by another name.

import * as promised from "./embed.js";
import * as written from "./written.js";

type Promised = typeof promised;
export const module: Pick<typeof written, keyof Promised> = written;
export const element: Promised["PlaygatePlayerElement"] = written.PlaygatePlayerElement;
export const error: Promised["PlaygateError"] = written.PlaygateError;
export const mount: (...args: Parameters<Promised["mount"]>) => promised.PlaygatePlayerElement = written.mount;
