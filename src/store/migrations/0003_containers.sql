-- What sessions in containers need to be found again and to be told of.

ALTER TABLE sessions ADD COLUMN node TEXT;
ALTER TABLE sessions ADD COLUMN placement TEXT NOT NULL DEFAULT '[]';
ALTER TABLE sessions ADD COLUMN runner_token_sha256 BLOB CHECK (length(runner_token_sha256) = 32);
ALTER TABLE sessions ADD COLUMN players TEXT NOT NULL DEFAULT '[]';
ALTER TABLE sessions ADD COLUMN network_rx_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN network_tx_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN exit_code INTEGER;
ALTER TABLE sessions ADD COLUMN out_of_memory INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN unsaved TEXT;

CREATE INDEX unsaved_sessions ON sessions (id) WHERE unsaved IS NOT NULL;
