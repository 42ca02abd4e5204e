-- Accounts. `name_key` is the name in lower case: names are unique ignoring case.
CREATE TABLE users (
    id BYTEA NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    tier BIGINT,
    created_us BIGINT NOT NULL,
    credentials_changed_us BIGINT NOT NULL
);

CREATE INDEX users_by_role ON users (role);
