-- Windows and moments for good. Channels are named without a reference: the log may know one that the store does not.
CREATE TABLE archived_windows (
    channel TEXT NOT NULL,
    epoch BYTEA NOT NULL,
    seq BIGINT NOT NULL,
    window_start_ms BIGINT NOT NULL,
    data BYTEA NOT NULL,
    PRIMARY KEY (channel, epoch, seq)
);

CREATE INDEX windows_by_time ON archived_windows (channel, window_start_ms, epoch, seq);

CREATE TABLE archived_moments (
    channel TEXT NOT NULL,
    epoch BYTEA NOT NULL,
    seq BIGINT NOT NULL,
    id TEXT NOT NULL,
    emote TEXT NOT NULL,
    window_start_ms BIGINT NOT NULL,
    window_ms BIGINT NOT NULL,
    reactions BIGINT NOT NULL,
    strength DOUBLE PRECISION NOT NULL,
    reactors BIGINT NOT NULL,
    rule TEXT NOT NULL,
    rule_version BIGINT NOT NULL,
    media_time_ms BIGINT,
    title TEXT,
    note TEXT,
    hidden BIGINT NOT NULL,
    edited_by TEXT,
    edited_us BIGINT,
    PRIMARY KEY (channel, epoch, seq)
);

CREATE INDEX moments_by_time ON archived_moments (channel, window_start_ms, epoch, seq);
CREATE INDEX moments_by_id ON archived_moments (channel, id, window_start_ms, epoch, seq);

-- How far each partition of the log's output has been archived.
CREATE TABLE archive_positions (
    epoch BYTEA NOT NULL,
    log_topic TEXT NOT NULL,
    log_partition BIGINT NOT NULL,
    next_offset BIGINT NOT NULL,
    PRIMARY KEY (epoch, log_topic, log_partition)
);
