-- Places of devices. Users and edges are named without a reference: a lease outlives both until its connection is closed.
-- `since_us` is when it was reserved, and from its opening on when that became known. `ended` is why it no longer holds.
CREATE TABLE leases (
    id BYTEA NOT NULL PRIMARY KEY,
    user_id BYTEA NOT NULL,
    device_id TEXT NOT NULL,
    device_name TEXT NOT NULL,
    edge TEXT NOT NULL,
    generation BYTEA NOT NULL,
    since_us BIGINT NOT NULL,
    is_open BIGINT NOT NULL,
    ended TEXT
);

CREATE INDEX leases_by_user ON leases (user_id);
CREATE INDEX leases_by_generation ON leases (generation);
CREATE INDEX leases_to_close ON leases (edge) WHERE ended IS NOT NULL;
