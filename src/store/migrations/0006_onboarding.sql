-- Invitations: a code that a customer gives to a phone, and the device that the phone becomes by it.
CREATE TABLE codes (
    id TEXT PRIMARY KEY,            -- names the invitation; tells nothing of its code
    hash TEXT NOT NULL UNIQUE,      -- SHA-256 of the code, in hexadecimal
    mac TEXT,                       -- for this phone only
    group_name TEXT,                -- the group that the device comes into
    settings TEXT NOT NULL,         -- JSON of the device: model, group, settings; secrets sealed
    takes_over BIGINT NOT NULL,     -- 1: a phone that is somebody's device already changes hands
    uses BIGINT NOT NULL,
    max_uses BIGINT NOT NULL,
    failures BIGINT NOT NULL,       -- how often the right code came from the wrong phone
    created BIGINT NOT NULL,        -- milliseconds since 1970
    created_by TEXT NOT NULL,
    expires BIGINT NOT NULL
);
CREATE INDEX codes_expires ON codes (expires);

-- The phones that came with a code. One that comes again, because the answer was lost, counts once.
CREATE TABLE code_uses (
    code TEXT NOT NULL,
    mac TEXT NOT NULL,
    time BIGINT NOT NULL,
    PRIMARY KEY (code, mac)
);

-- Phones that were first seen in a staging network, and wait for somebody's approval.
CREATE TABLE waiting (
    mac TEXT PRIMARY KEY,
    model TEXT NOT NULL,
    serial TEXT,
    firmware TEXT,
    user_agent TEXT NOT NULL,
    peer TEXT NOT NULL,
    first_seen BIGINT NOT NULL,     -- milliseconds since 1970
    last_seen BIGINT NOT NULL
);
CREATE INDEX waiting_last_seen ON waiting (last_seen);
