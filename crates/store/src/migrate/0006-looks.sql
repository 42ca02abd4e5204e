-- What a name looks like: nobody gets a name that looks like another's. Accounts from before, which may look alike, get theirs
-- when the database is opened.
ALTER TABLE users ADD COLUMN look TEXT;

CREATE INDEX users_by_look ON users (look);
