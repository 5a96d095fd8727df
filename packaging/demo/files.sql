-- The files of the tree, and how often each was changed.
-- name: files
-- topics: zstd

-- setup
CREATE TABLE file (path TEXT PRIMARY KEY, blob TEXT NOT NULL, changed TEXT NOT NULL, changes INTEGER NOT NULL);

-- on file.added, file.changed
INSERT INTO file (path, blob, changed, changes) VALUES (:key, :data.blob, :time, 1)
    ON CONFLICT (path) DO UPDATE SET blob = excluded.blob, changed = excluded.changed, changes = changes + 1;

-- on file.removed
DELETE FROM file WHERE path = :key;
