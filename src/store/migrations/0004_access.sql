-- Bearer tokens of the admin API. The tokens themselves are nowhere: what is presented is found by its digest.
CREATE TABLE tokens (
    digest TEXT PRIMARY KEY,        -- SHA-256 of the token, 64 hexadecimal digits
    name TEXT NOT NULL,
    scope TEXT NOT NULL,            -- read, write or secrets
    bound_to TEXT,                  -- a group; none: the whole fleet
    created BIGINT NOT NULL,        -- milliseconds since 1970-01-01T00:00:00Z, like all times
    expires BIGINT,
    last_used BIGINT                -- to the minute
);

CREATE UNIQUE INDEX tokens_name ON tokens (name);

-- Requests that made something, so that the same one again makes nothing more.
CREATE TABLE idempotency_keys (
    token TEXT NOT NULL,            -- the token's digest
    name TEXT NOT NULL,             -- what stood in Idempotency-Key
    request TEXT NOT NULL,          -- a keyed digest of method, target and body
    created BIGINT NOT NULL,
    answer TEXT,                    -- status, headers and body in JSON; none while it is being made
    PRIMARY KEY (token, name)
);

CREATE INDEX idempotency_keys_created ON idempotency_keys (created);

-- What webhooks are to be told and have not taken yet.
CREATE TABLE webhook_outbox (
    id TEXT PRIMARY KEY,            -- the message's id
    webhook TEXT NOT NULL,          -- its name in the configuration
    body TEXT NOT NULL,             -- JSON as it is sent
    created BIGINT NOT NULL,
    tries BIGINT NOT NULL,
    due BIGINT NOT NULL             -- not to be tried before; whoever tries it puts it off first
);

CREATE INDEX webhook_outbox_due ON webhook_outbox (webhook, due);

-- Up to where the fleet's changes are in the outbox.
CREATE TABLE webhook_positions (
    webhook TEXT PRIMARY KEY,
    revision BIGINT NOT NULL,
    name TEXT NOT NULL              -- the last of that revision, kind/name; empty: all of them
);
