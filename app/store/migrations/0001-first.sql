-- Times are milliseconds since the epoch. A digest is the SHA-256 of a token, base64url.
-- Lists of allowed words are not CHECKed: a later migration could not widen them without making
-- the table again, and the release before must still be able to write here.
-- docs/storage.md tells what a row is and how it lives.

PRAGMA application_id = 0x666a6d63; -- 'fjmc': tells this file from any other SQLite database

-- Facts about the store itself: whose forge, which key, the oldest release that can work with it.
CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value ANY NOT NULL
) STRICT;

-- The number of the migrations that a release must know at least to read and write this store.
INSERT INTO meta (name, value) VALUES ('oldest_reader', 1);

CREATE TABLE clients (
  id               TEXT PRIMARY KEY,
  kind             TEXT NOT NULL,
  name             TEXT NOT NULL,
  redirect_uris    TEXT NOT NULL, -- JSON array
  auth_method      TEXT NOT NULL,
  secret_digest    TEXT,
  application_type TEXT,
  client_uri       TEXT,
  fingerprint      TEXT UNIQUE,   -- of a public dynamic registration, to find an identical one
  created_at       INTEGER NOT NULL,
  registered_at    INTEGER NOT NULL, -- later than created_at when it was registered again
  last_used_at     INTEGER,
  retired_at       INTEGER           -- a static client that the configuration no longer has
) STRICT, WITHOUT ROWID;
CREATE INDEX clients_by_registration ON clients (kind, registered_at);

CREATE TABLE accounts (
  id                 INTEGER PRIMARY KEY, -- Forgejo's user id
  login              TEXT NOT NULL,
  is_admin           INTEGER NOT NULL,
  state              TEXT NOT NULL,
  generation         INTEGER NOT NULL,
  access_token       BLOB NOT NULL,       -- sealed
  refresh_token      BLOB,                -- sealed
  access_expires_at  INTEGER NOT NULL,
  refresh_expires_at INTEGER,
  created_at         INTEGER NOT NULL,
  updated_at         INTEGER NOT NULL
) STRICT;

CREATE TABLE browser_sessions (
  digest     TEXT PRIMARY KEY,
  account_id INTEGER REFERENCES accounts (id) ON DELETE SET NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX browser_sessions_by_expiry ON browser_sessions (expires_at);
CREATE INDEX browser_sessions_by_account ON browser_sessions (account_id);

CREATE TABLE authorization_requests (
  digest                TEXT PRIMARY KEY,
  client_id             TEXT NOT NULL REFERENCES clients (id),
  redirect_uri          TEXT NOT NULL,
  code_challenge        TEXT NOT NULL,
  client_state          BLOB,            -- sealed
  scope                 TEXT NOT NULL,
  resource              TEXT NOT NULL,
  browser_digest        TEXT NOT NULL,
  shown_account_id      INTEGER REFERENCES accounts (id) ON DELETE SET NULL,
  stage                 TEXT NOT NULL,
  approval_digest       TEXT,            -- null once the value was used
  upstream_state_digest TEXT UNIQUE,
  callback_taken_at     INTEGER,
  account_id            INTEGER REFERENCES accounts (id) ON DELETE SET NULL,
  created_at            INTEGER NOT NULL,
  expires_at            INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX authorization_requests_by_expiry ON authorization_requests (expires_at);
CREATE INDEX authorization_requests_by_client ON authorization_requests (client_id);

CREATE TABLE grants (
  id           TEXT PRIMARY KEY,
  account_id   INTEGER NOT NULL REFERENCES accounts (id),
  client_id    TEXT NOT NULL REFERENCES clients (id),
  scope        TEXT NOT NULL,
  resource     TEXT NOT NULL,
  created_at   INTEGER NOT NULL,
  last_used_at INTEGER,
  ended_at     INTEGER,
  end_reason   TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX grants_by_account ON grants (account_id, ended_at);
CREATE INDEX grants_by_client ON grants (client_id, ended_at);
CREATE INDEX grants_by_end ON grants (ended_at);

CREATE TABLE authorization_codes (
  digest         TEXT PRIMARY KEY,
  grant_id       TEXT NOT NULL UNIQUE REFERENCES grants (id) ON DELETE CASCADE,
  redirect_uri   TEXT NOT NULL,
  code_challenge TEXT NOT NULL,
  created_at     INTEGER NOT NULL,
  expires_at     INTEGER NOT NULL,
  used_at        INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX authorization_codes_by_expiry ON authorization_codes (expires_at)
  WHERE used_at IS NULL;

-- A refresh token stands for the token answer that it came with.
CREATE TABLE refresh_tokens (
  digest       TEXT PRIMARY KEY,
  grant_id     TEXT NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
  predecessor  TEXT UNIQUE REFERENCES refresh_tokens (digest) ON DELETE SET NULL,
  key_id       TEXT,             -- the key that derived it from its predecessor
  answers      INTEGER NOT NULL, -- how often this answer was given
  confirmed_at INTEGER,          -- first use of the answer: the predecessor is spent
  created_at   INTEGER NOT NULL,
  expires_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_tokens_by_grant ON refresh_tokens (grant_id, expires_at);
CREATE INDEX refresh_tokens_by_expiry ON refresh_tokens (expires_at);

CREATE TABLE access_tokens (
  digest     TEXT PRIMARY KEY,
  grant_id   TEXT NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
  answer     TEXT NOT NULL REFERENCES refresh_tokens (digest) ON DELETE CASCADE,
  scope      TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX access_tokens_by_grant ON access_tokens (grant_id, expires_at);
CREATE INDEX access_tokens_by_answer ON access_tokens (answer);
CREATE INDEX access_tokens_by_expiry ON access_tokens (expires_at);

CREATE TABLE sessions (
  id_digest        TEXT PRIMARY KEY,
  account_id       INTEGER NOT NULL REFERENCES accounts (id),
  client_id        TEXT NOT NULL REFERENCES clients (id),
  grant_id         TEXT NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
  protocol_version TEXT NOT NULL,
  handshake        TEXT NOT NULL, -- JSON of the client's initialize params
  created_at       INTEGER NOT NULL,
  last_used_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_account ON sessions (account_id);
CREATE INDEX sessions_by_client ON sessions (client_id);
CREATE INDEX sessions_by_grant ON sessions (grant_id);
CREATE INDEX sessions_by_last_use ON sessions (last_used_at);
