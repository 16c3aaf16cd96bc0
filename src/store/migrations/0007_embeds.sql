-- Embed tokens, and the sessions of organisations that a visit launches: from the catalogue, so not hosted.
-- SQLite changes no column's constraints, so `sessions` is made anew; what refers to it is checked at the end of this.

PRAGMA defer_foreign_keys = ON;

CREATE TABLE sessions_old AS SELECT * FROM sessions;
DROP TABLE sessions;

CREATE TABLE sessions (
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
    quality             TEXT    NOT NULL DEFAULT '{}',
    CHECK (status NOT IN ('stopped', 'error') OR (end_reason IS NOT NULL AND ended_at IS NOT NULL)),
    CHECK ((owner_kind = 'user') = (slot_id IS NOT NULL)),
    CHECK (owner_kind = 'org' OR hosted IS NULL),
    UNIQUE (owner_kind, owner_name, external_id)
) STRICT;

INSERT INTO sessions
    SELECT id, owner_kind, owner_name, external_id, game, title, slot_id, status, container, hosted, removed_at,
        generation, ran, started_at, ended_at, lease_until, timeline, end_reason, end_detail, duration_s, cpu_seconds,
        peak_memory_bytes, network_rx_bytes, network_tx_bytes, exit_code, out_of_memory, instance, node, placement,
        runner_token_sha256, players, unsaved, quality
    FROM sessions_old;
DROP TABLE sessions_old;

-- Contract 1.3, rule 6: the check and the insert are one step because the index is the check.
CREATE UNIQUE INDEX one_active_session_per_user ON sessions (owner_name)
    WHERE owner_kind = 'user' AND status IN ('starting', 'running', 'stopping');
CREATE UNIQUE INDEX one_active_session_per_slot ON sessions (slot_id)
    WHERE status IN ('starting', 'running', 'stopping');
CREATE INDEX active_sessions ON sessions (status) WHERE status IN ('starting', 'running', 'stopping');
CREATE INDEX unsaved_sessions ON sessions (id) WHERE unsaved IS NOT NULL;
CREATE INDEX retained_sessions ON sessions (owner_name, ended_at) WHERE hosted IS NOT NULL AND removed_at IS NULL;

CREATE TRIGGER a_session_begins AFTER INSERT ON sessions BEGIN
    INSERT INTO events (session_id, owner_kind, owner_name, kind, at)
    VALUES (new.id, new.owner_kind, new.owner_name, 'session.starting', new.started_at);
END;

-- When: the end, else the newest milestone of the timeline.
CREATE TRIGGER a_session_changes AFTER UPDATE OF status ON sessions WHEN new.status <> old.status BEGIN
    INSERT INTO events (session_id, owner_kind, owner_name, kind, at)
    VALUES (new.id, new.owner_kind, new.owner_name,
        CASE WHEN new.status IN ('starting', 'running', 'stopping') THEN 'session.' || new.status ELSE 'session.ended' END,
        coalesce(new.ended_at, json_extract(new.timeline, '$[#-1][1]'), new.started_at));
END;

CREATE TABLE embeds (
    id         TEXT    NOT NULL PRIMARY KEY,
    sha256     BLOB    NOT NULL UNIQUE CHECK (length(sha256) = 32),
    owner_kind TEXT    NOT NULL CHECK (owner_kind IN ('user', 'org')),
    owner_name TEXT    NOT NULL,
    game       TEXT,
    session_id TEXT    REFERENCES sessions (id),
    role       TEXT    NOT NULL CHECK (role IN ('player', 'spectator')),
    slot       INTEGER,
    origins    TEXT    NOT NULL,
    uses       INTEGER,
    used       INTEGER NOT NULL DEFAULT 0 CHECK (uses IS NULL OR used <= uses),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER,
    CHECK ((game IS NULL) <> (session_id IS NULL))
) STRICT;

CREATE INDEX embeds_of_an_owner ON embeds (owner_kind, owner_name, created_at);

-- A visit's grant. `host`: the session was launched for it.
ALTER TABLE grants ADD COLUMN embed_id TEXT REFERENCES embeds (id);
ALTER TABLE grants ADD COLUMN host INTEGER NOT NULL DEFAULT 0;

CREATE INDEX grants_of_an_embed ON grants (embed_id) WHERE embed_id IS NOT NULL;
