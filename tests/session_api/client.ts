// A studio's backend, small: its types are generated from the contract, and what the gateway answers has to fit them.
// Ends with code 0 when the whole life of a session went as the contract says.

import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./contract.js";

const need = (name: string): string => {
  const value = process.env[name];
  assert(value, `${name} is not set`);
  return value;
};
const location = need("SESSION_API_LOCATION");
const api = createClient<paths>({
  baseUrl: need("SESSION_API_URL"),
  headers: { Authorization: `Bearer ${need("SESSION_API_TOKEN")}` },
});
const id = crypto.randomUUID();
const path = { id };

/** Looks until a condition holds; a session's end takes its time. */
async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 60_000;
  while (!(await holds())) {
    assert(Date.now() < end, `${what}: not in time`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function isError(error: components["schemas"]["ErrorResponse"] | undefined, code: number): void {
  assert(error, `an answer ${code} has a body`);
  assert.equal(error.statusCode, code);
  for (const field of ["code", "message", "details", "path", "identifier", "timestamp"] as const) {
    assert.equal(typeof error[field], "string", field);
  }
}

// Where, and which version.
const places = await api.GET("/available-location/{image}", { params: { path: { image: "nginx" } } });
assert.deepEqual(places.data?.locations.map((place) => place.id), [location]);
const tag = await api.GET("/tag/{region}/{image}/{version}", {
  params: { path: { region: "europe", image: "nginx", version: "1.22" } },
});
assert.equal(tag.data?.exists, true);

// Start.
const started = await api.POST("/session", {
  body: { id, location: "europe", image: "nginx", version: "1.22", labels: { mode: "ranked" }, env: { SIZE: "8" }, ttl: "1h" },
});
assert.equal(started.response.status, 201, JSON.stringify(started.error));
const port = started.data?.ports[0];
assert(port && port.type === "tcp" && port.container === 80);
const again = await api.POST("/session", { body: { id, location: "europe", image: "nginx" } });
assert.equal(again.response.status, 409);
isError(again.error, 409);

// Describe.
const described = await api.GET("/session/{id}", { params: { path } });
assert.equal(described.data?.status, "running");
assert.equal(described.data?.port["80/tcp"], port.host);
assert(Math.abs(Date.now() - described.data.created) < 600_000);

// Players.
const joined = await api.PUT("/session/player/join", { body: { session: id, players: ["ann", "bob", "ann"] } });
assert.equal(joined.data?.count, 2);
assert.deepEqual([...(joined.data?.players ?? [])].sort(), ["ann", "bob"]);

// List by each filter, alone and together.
type Query = NonNullable<paths["/session"]["get"]["parameters"]["query"]>;
const listed = async (query: Query): Promise<boolean> => {
  const list = await api.GET("/session", { params: { query } });
  assert.equal(list.response.status, 200, JSON.stringify(list.error));
  return (list.data?.sessions ?? []).some((session) => session.id === id);
};
const matching: Query[] = [
  {},
  { all: true },
  { location },
  { location: "europe" },
  { image: "nginx" },
  { tag: "1.22" },
  { host: described.data.host },
  { playerCount: { lt: 3 } },
  { playerCount: { gt: 1 } },
  { filter: { mode: "ranked" } },
  { image: "nginx", tag: "1.22", playerCount: { gt: 1, lt: 3 }, filter: { mode: "ranked" } },
];
const others: Query[] = [
  { location: "mars" },
  { image: "other" },
  { tag: "stable" },
  { host: "203.0.113.9" },
  { playerCount: { lt: 2 } },
  { playerCount: { gt: 2 } },
  { filter: { mode: "casual" } },
  { filter: { nothing: "" } },
];
for (const query of matching) assert(await listed(query), JSON.stringify(query));
for (const query of others) assert(!(await listed(query)), JSON.stringify(query));

// The contract's body has no `session` (G1): there is one session that ann is in.
const left = await api.DELETE("/session/player/leave", { body: { players: ["ann"] } });
assert.deepEqual([left.data?.count, left.data?.players], [1, ["ann"]]);
const roster = await api.GET("/session/{id}", { params: { path } });
assert.deepEqual(roster.data?.players, { joined: ["bob"], joinedCount: 1 });

// Logs, followed to the end of the container.
const follow = api.GET("/logs", { params: { query: { id, follow: true } }, parseAs: "text" });
const early = await api.GET("/artifacts", {
  params: { query: { session: id, path: "/var/log/nginx" } },
  parseAs: "arrayBuffer",
});
assert.equal(early.response.status, 404, "artifacts come after the end");

// Stop, and once more.
const stopped = await api.DELETE("/session/{id}", { params: { path } });
assert.equal(stopped.response.status, 204);
const second = await api.DELETE("/session/{id}", { params: { path } });
isError(second.error, 409);
const followed = await follow;
assert.equal(followed.response.status, 200);
await until("the session has exited", async () => {
  const now = await api.GET("/session/{id}", { params: { path } });
  return now.data?.status === "exited";
});

// Artifacts, while the container is kept.
const artifacts = await api.GET("/artifacts", {
  params: { query: { session: id, path: "/var/log/nginx" } },
  parseAs: "arrayBuffer",
});
assert.equal(artifacts.response.status, 200);
const bytes = new Uint8Array(artifacts.data as unknown as ArrayBuffer);
assert.deepEqual([bytes[0], bytes[1]], [0x1f, 0x8b], "gzip");

// And then nothing.
await until("the session is forgotten", async () => {
  const now = await api.GET("/session/{id}", { params: { path } });
  if (now.response.status === 404) isError(now.error, 404);
  return now.response.status === 404;
});
const gone = await api.GET("/artifacts", { params: { query: { session: id, path: "/var/log/nginx" } } });
assert.equal(gone.response.status, 404);
