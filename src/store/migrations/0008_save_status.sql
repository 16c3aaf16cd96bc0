-- What became of an ended session's save: `stored`, `unchanged`, `pending` or `refused`, with a sentence for the player.
-- `save_refused_at`: since when it is certain that the save can never be stored; what holds it is kept for a while.

ALTER TABLE sessions ADD COLUMN save_status TEXT CHECK (save_status IN ('stored', 'unchanged', 'pending', 'refused'));
ALTER TABLE sessions ADD COLUMN save_reason TEXT;
ALTER TABLE sessions ADD COLUMN save_refused_at INTEGER;

-- The sentence about a save that waits was part of the end's detail.
UPDATE sessions SET save_status = 'pending',
    save_reason = 'Your last save could not be stored yet. It is kept and will be stored as soon as possible.',
    end_detail = nullif(trim(replace(end_detail, 'Your last save could not be stored yet; it is kept, and will be stored as soon as possible. The save before it is untouched.', '')), '')
WHERE unsaved IS NOT NULL;

CREATE INDEX refused_saves ON sessions (save_refused_at) WHERE save_refused_at IS NOT NULL AND removed_at IS NULL;
