-- What happened to sessions, in its order: what event streams and webhooks tell. The database itself notes every change of
-- a status, in the transaction that makes it: no writer can forget it, and no crash falls between.

CREATE TABLE events (
    id         INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    session_id TEXT    NOT NULL REFERENCES sessions (id),
    owner_kind TEXT    NOT NULL,
    owner_name TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    player     TEXT,
    at         INTEGER NOT NULL
) STRICT;

CREATE INDEX events_of_an_owner ON events (owner_kind, owner_name, id);
CREATE INDEX events_by_time ON events (at);

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

-- Up to which event a webhook has been looked after.
CREATE TABLE webhooks (
    name TEXT    NOT NULL PRIMARY KEY,
    seen INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One event to one webhook. `next_at`: when it is sent again; null once it is delivered or given up.
CREATE TABLE deliveries (
    webhook      TEXT    NOT NULL REFERENCES webhooks (name),
    event_id     INTEGER NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    attempts     INTEGER NOT NULL DEFAULT 0,
    next_at      INTEGER,
    delivered_at INTEGER,
    error        TEXT,
    PRIMARY KEY (webhook, event_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX due_deliveries ON deliveries (webhook, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX deliveries_of_an_event ON deliveries (event_id);
