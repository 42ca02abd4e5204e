-- Clusters, and the edges that have reported. An edge's cluster need not be recorded: its capacity is then that of its edges.
CREATE TABLE clusters (
    name TEXT NOT NULL PRIMARY KEY,
    capacity BIGINT,
    created_us BIGINT NOT NULL
);

-- `previous_generations` are the starts before this one, the last one first: id (16 bytes) and number of the newest report (8 bytes,
-- big-endian) of each.
CREATE TABLE edges (
    name TEXT NOT NULL PRIMARY KEY,
    cluster TEXT NOT NULL,
    url TEXT NOT NULL,
    port BIGINT NOT NULL,
    capacity BIGINT NOT NULL,
    viewers BIGINT NOT NULL,
    generation BYTEA NOT NULL,
    previous_generations BYTEA NOT NULL,
    number BIGINT NOT NULL,
    is_draining BIGINT NOT NULL,
    is_leaving BIGINT NOT NULL,
    owes_all BIGINT NOT NULL,
    heard_us BIGINT NOT NULL
);
