-- Sessions of organisations: without a save slot, with what the Session API tells of them.
-- SQLite changes no column's constraints, so the tables are made anew; `grants` goes first, because it refers to sessions.

CREATE TABLE sessions_new (
    id                  TEXT    NOT NULL PRIMARY KEY,
    owner_kind          TEXT    NOT NULL CHECK (owner_kind IN ('user', 'org')),
    owner_name          TEXT    NOT NULL,
    external_id         TEXT    NOT NULL,
    game                TEXT    NOT NULL,
    title               TEXT    NOT NULL,
    slot_id             TEXT    REFERENCES slots (id),
    status              TEXT    NOT NULL CHECK (status IN ('starting', 'running', 'stopping', 'stopped', 'error')),
    container           TEXT    NOT NULL,
    hosted              TEXT,
    removed_at          INTEGER,
    generation          INTEGER NOT NULL,
    ran                 INTEGER NOT NULL,
    started_at          INTEGER NOT NULL,
    ended_at            INTEGER,
    lease_until         INTEGER,
    timeline            TEXT    NOT NULL,
    end_reason          TEXT,
    end_detail          TEXT,
    duration_s          INTEGER,
    cpu_seconds         REAL,
    peak_memory_bytes   INTEGER,
    network_rx_bytes    INTEGER NOT NULL DEFAULT 0,
    network_tx_bytes    INTEGER NOT NULL DEFAULT 0,
    exit_code           INTEGER,
    out_of_memory       INTEGER NOT NULL DEFAULT 0,
    instance            TEXT,
    node                TEXT,
    placement           TEXT    NOT NULL DEFAULT '[]',
    runner_token_sha256 BLOB    CHECK (length(runner_token_sha256) = 32),
    players             TEXT    NOT NULL DEFAULT '[]',
    unsaved             TEXT,
    CHECK (status NOT IN ('stopped', 'error') OR (end_reason IS NOT NULL AND ended_at IS NOT NULL)),
    CHECK ((owner_kind = 'user') = (slot_id IS NOT NULL)),
    CHECK ((owner_kind = 'org') = (hosted IS NOT NULL)),
    UNIQUE (owner_kind, owner_name, external_id)
) STRICT;

INSERT INTO sessions_new
    SELECT id, owner_kind, owner_name, external_id, game, title, slot_id, status,
        CASE status WHEN 'starting' THEN 'created' WHEN 'running' THEN 'running' WHEN 'stopping' THEN 'shuttingdown'
            WHEN 'stopped' THEN 'exited' ELSE 'dead' END,
        NULL, NULL, generation, ran, started_at, ended_at, lease_until, timeline, end_reason, end_detail, duration_s,
        cpu_seconds, peak_memory_bytes, network_rx_bytes, network_tx_bytes, exit_code, out_of_memory, instance, node,
        placement, runner_token_sha256, players, unsaved
    FROM sessions WHERE owner_kind = 'user';

CREATE TABLE grants_new (
    id         TEXT    NOT NULL PRIMARY KEY,
    session_id TEXT    NOT NULL REFERENCES sessions_new (id),
    role       TEXT    NOT NULL CHECK (role IN ('player', 'spectator')),
    slot       INTEGER,
    origins    TEXT    NOT NULL DEFAULT '[]',
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;

INSERT INTO grants_new
    SELECT id, session_id, role, slot, '[]', created_at, expires_at, revoked_at FROM grants
    WHERE session_id IN (SELECT id FROM sessions_new);

DROP TABLE grants;
DROP TABLE sessions;
ALTER TABLE sessions_new RENAME TO sessions;
ALTER TABLE grants_new RENAME TO grants;

-- Contract 1.3, rule 6: the check and the insert are one step because the index is the check.
CREATE UNIQUE INDEX one_active_session_per_user ON sessions (owner_name)
    WHERE owner_kind = 'user' AND status IN ('starting', 'running', 'stopping');
CREATE UNIQUE INDEX one_active_session_per_slot ON sessions (slot_id)
    WHERE status IN ('starting', 'running', 'stopping');
CREATE INDEX active_sessions ON sessions (status) WHERE status IN ('starting', 'running', 'stopping');
CREATE INDEX unsaved_sessions ON sessions (id) WHERE unsaved IS NOT NULL;
CREATE INDEX retained_sessions ON sessions (owner_name, ended_at) WHERE hosted IS NOT NULL AND removed_at IS NULL;
CREATE INDEX grants_of_a_session ON grants (session_id);

-- Who plays on a hosted session, by the names its organisation gives.
CREATE TABLE joined_players (
    session_id TEXT    NOT NULL REFERENCES sessions (id),
    player     TEXT    NOT NULL,
    joined_at  INTEGER NOT NULL,
    PRIMARY KEY (session_id, player)
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_of_a_player ON joined_players (player);

CREATE TABLE tokens_new (
    id         TEXT    NOT NULL PRIMARY KEY,
    scope      TEXT    NOT NULL CHECK (scope IN ('user', 'operator', 'organisation')),
    subject    TEXT    NOT NULL,
    sha256     BLOB    UNIQUE CHECK (length(sha256) = 32),
    label      TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT;

INSERT INTO tokens_new SELECT id, scope, subject, sha256, label, created_at, expires_at, revoked_at FROM tokens;
DROP TABLE tokens;
ALTER TABLE tokens_new RENAME TO tokens;
