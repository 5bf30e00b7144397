-- What the client of a session was allowed when it last asked, so that it learns when that changes. The
-- release before writes none of it: not known.
ALTER TABLE sessions ADD COLUMN permission TEXT;
