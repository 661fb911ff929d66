-- What is known of a phone that an ACS manages, from one session to the next.
CREATE TABLE acs_phones (
    mac TEXT PRIMARY KEY,
    told TEXT NOT NULL,             -- JSON: what it said of itself, the revision that it holds, what it refused; no secret
    first_seen BIGINT NOT NULL,     -- milliseconds since 1970
    last_seen BIGINT NOT NULL
);
