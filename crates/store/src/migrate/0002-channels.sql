-- Channels. `id` ascends with creation.
CREATE TABLE channels (
    name TEXT NOT NULL PRIMARY KEY,
    id BIGINT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    closed BIGINT NOT NULL,
    recording_started_us BIGINT,
    seed_hash TEXT
);

-- Every version of every channel's settings, never changed save for `published`: what is 0 waits to be put into the log.
CREATE TABLE settings_history (
    channel TEXT NOT NULL REFERENCES channels (name),
    version BIGINT NOT NULL,
    document TEXT NOT NULL,
    changed_us BIGINT NOT NULL,
    changed_by TEXT NOT NULL,
    published BIGINT NOT NULL,
    PRIMARY KEY (channel, version)
);

CREATE INDEX settings_unpublished ON settings_history (channel, version) WHERE published = 0;

-- Images of custom emotes.
CREATE TABLE custom_emotes (
    channel TEXT NOT NULL REFERENCES channels (name),
    name TEXT NOT NULL,
    media_type TEXT NOT NULL,
    image BYTEA NOT NULL,
    image_bytes BIGINT NOT NULL,
    changed_us BIGINT NOT NULL,
    PRIMARY KEY (channel, name)
);
