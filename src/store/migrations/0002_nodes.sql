-- Nodes, and what is reserved on them. Cores are thousandths, so that sums are exact.
-- The sums stand in the node's own row: a reservation is one conditional update of it. What is reserved may be more than
-- the total when a node was announced smaller than before; then nothing more fits.

CREATE TABLE nodes (
    name                  TEXT    NOT NULL PRIMARY KEY,
    location              TEXT,
    region                TEXT,
    labels                TEXT    NOT NULL,
    capacity              INTEGER NOT NULL CHECK (capacity >= 0),
    total_milli_cpus      INTEGER NOT NULL CHECK (total_milli_cpus >= 0),
    total_memory_bytes    INTEGER NOT NULL CHECK (total_memory_bytes >= 0),
    total_gpus            INTEGER NOT NULL CHECK (total_gpus >= 0),
    sessions              INTEGER NOT NULL DEFAULT 0 CHECK (sessions >= 0),
    reserved_milli_cpus   INTEGER NOT NULL DEFAULT 0 CHECK (reserved_milli_cpus >= 0),
    reserved_memory_bytes INTEGER NOT NULL DEFAULT 0 CHECK (reserved_memory_bytes >= 0),
    reserved_gpus         INTEGER NOT NULL DEFAULT 0 CHECK (reserved_gpus >= 0),
    admission             TEXT    NOT NULL DEFAULT 'open' CHECK (admission IN ('open', 'cordoned', 'draining')),
    healthy               INTEGER NOT NULL DEFAULT 0,
    cached                TEXT    NOT NULL DEFAULT '[]',
    cpu_percent           REAL    NOT NULL DEFAULT 0,
    memory_percent        REAL    NOT NULL DEFAULT 0,
    seen_at               INTEGER NOT NULL
) STRICT;

-- No reference to sessions: a place is reserved before the session's row is written.
CREATE TABLE reservations (
    session_id   TEXT    NOT NULL PRIMARY KEY,
    node         TEXT    NOT NULL REFERENCES nodes (name),
    milli_cpus   INTEGER NOT NULL CHECK (milli_cpus >= 0),
    memory_bytes INTEGER NOT NULL CHECK (memory_bytes >= 0),
    gpus         INTEGER NOT NULL CHECK (gpus >= 0),
    reserved_at  INTEGER NOT NULL
) STRICT;

CREATE INDEX reservations_of_a_node ON reservations (node);
