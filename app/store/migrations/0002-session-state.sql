-- What a session needs beside its handshake, so that another child can carry it on. The release
-- before writes none of it, and its rows read as sessions that had said nothing more.
ALTER TABLE sessions ADD COLUMN initialized INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN server_capabilities TEXT; -- JSON; what the client was told
ALTER TABLE sessions ADD COLUMN log_level TEXT;
ALTER TABLE sessions ADD COLUMN subscriptions TEXT NOT NULL DEFAULT '[]'; -- JSON array of URIs
