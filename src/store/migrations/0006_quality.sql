-- What viewers saw of a session.

ALTER TABLE sessions ADD COLUMN quality TEXT NOT NULL DEFAULT '{}';
