-- Times are integer milliseconds since 1970-01-01 UTC. Ids are text as printed.

CREATE TABLE users (
    id         TEXT    NOT NULL PRIMARY KEY,
    name       TEXT,
    created_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL
) STRICT;

CREATE TABLE slots (
    id        TEXT    NOT NULL PRIMARY KEY,
    user_id   TEXT    NOT NULL REFERENCES users (id),
    game      TEXT    NOT NULL,
    number    INTEGER NOT NULL CHECK (number BETWEEN 1 AND 3),
    played_at INTEGER,
    UNIQUE (user_id, game, number)
) STRICT;

CREATE TABLE save_versions (
    id         TEXT    NOT NULL PRIMARY KEY,
    slot_id    TEXT    NOT NULL REFERENCES slots (id),
    number     INTEGER NOT NULL,
    sha256     BLOB    NOT NULL CHECK (length(sha256) = 32),
    bytes      INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (slot_id, number)
) STRICT;

CREATE TABLE sessions (
    id                TEXT    NOT NULL PRIMARY KEY,
    owner_kind        TEXT    NOT NULL CHECK (owner_kind IN ('user', 'org')),
    owner_name        TEXT    NOT NULL,
    external_id       TEXT    NOT NULL,
    game              TEXT    NOT NULL,
    title             TEXT    NOT NULL,
    slot_id           TEXT    NOT NULL REFERENCES slots (id),
    status            TEXT    NOT NULL CHECK (status IN ('starting', 'running', 'stopping', 'stopped', 'error')),
    generation        INTEGER NOT NULL,
    ran               INTEGER NOT NULL,
    started_at        INTEGER NOT NULL,
    ended_at          INTEGER,
    lease_until       INTEGER,
    timeline          TEXT    NOT NULL,
    end_reason        TEXT,
    end_detail        TEXT,
    duration_s        INTEGER,
    cpu_seconds       REAL,
    peak_memory_bytes INTEGER,
    instance          TEXT,
    CHECK (status NOT IN ('stopped', 'error') OR (end_reason IS NOT NULL AND ended_at IS NOT NULL)),
    UNIQUE (owner_kind, owner_name, external_id)
) STRICT;

-- Contract 1.3, rule 6: the check and the insert are one step because the index is the check.
CREATE UNIQUE INDEX one_active_session_per_user ON sessions (owner_name)
    WHERE owner_kind = 'user' AND status IN ('starting', 'running', 'stopping');

CREATE UNIQUE INDEX one_active_session_per_slot ON sessions (slot_id)
    WHERE status IN ('starting', 'running', 'stopping');

CREATE INDEX active_sessions ON sessions (status) WHERE status IN ('starting', 'running', 'stopping');

CREATE TABLE grants (
    id         TEXT    NOT NULL PRIMARY KEY,
    session_id TEXT    NOT NULL REFERENCES sessions (id),
    role       TEXT    NOT NULL CHECK (role IN ('player', 'spectator')),
    slot       INTEGER,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;

CREATE INDEX grants_of_a_session ON grants (session_id);

CREATE TABLE profiles (
    game              TEXT    NOT NULL PRIMARY KEY,
    cpu               REAL    NOT NULL,
    peak_memory_bytes REAL    NOT NULL,
    samples           INTEGER NOT NULL
) STRICT;

CREATE TABLE tokens (
    id         TEXT    NOT NULL PRIMARY KEY,
    scope      TEXT    NOT NULL CHECK (scope IN ('user', 'operator')),
    subject    TEXT    NOT NULL,
    sha256     BLOB    UNIQUE CHECK (length(sha256) = 32),
    label      TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT;
