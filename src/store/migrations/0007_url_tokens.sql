-- Tokens in the URLs of phones. What they are is nowhere; only their digests are.
CREATE TABLE url_tokens (
    digest TEXT PRIMARY KEY,        -- SHA-256, in hexadecimal
    mac TEXT NOT NULL,
    bootstrap BIGINT NOT NULL,      -- 1: for the first contact, and dies with it
    created BIGINT NOT NULL,        -- milliseconds since 1970
    created_by TEXT NOT NULL,
    expires BIGINT,                 -- none: never
    renews BIGINT NOT NULL,         -- 1: the next profile brings another in its place
    used BIGINT,                    -- first
    used_from TEXT                  -- the address that it was first used from
);
CREATE INDEX url_tokens_mac ON url_tokens (mac, created);
