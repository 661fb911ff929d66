-- The fleet as it is set at run time: records of devices, groups, and what was changed by whom.

-- How often the fleet has been changed. Raised in the transaction of every change, so that whoever changes it next waits:
-- revisions become visible in their order.
CREATE TABLE fleet (
    one BIGINT PRIMARY KEY CHECK (one = 1),
    revision BIGINT NOT NULL
);
INSERT INTO fleet (one, revision) VALUES (1, 0);

CREATE TABLE devices (
    mac TEXT PRIMARY KEY,           -- 12 hexadecimal digits, lower case
    serial TEXT UNIQUE,
    model TEXT,                     -- none: as the device's file says
    group_name TEXT,                -- none: as the device's file says
    settings TEXT NOT NULL,         -- JSON, the tree of a device's file; secrets sealed
    search TEXT NOT NULL,           -- what a text is looked for in, lower case
    revision BIGINT NOT NULL,       -- of the fleet, when this was last changed
    created BIGINT NOT NULL,        -- milliseconds since 1970
    changed BIGINT NOT NULL
);
CREATE INDEX devices_group ON devices (group_name);

-- The SIP users of a device's lines.
CREATE TABLE device_users (
    user_name TEXT NOT NULL,
    mac TEXT NOT NULL,
    PRIMARY KEY (user_name, mac)
);
CREATE INDEX device_users_mac ON device_users (mac);

CREATE TABLE groups (
    name TEXT PRIMARY KEY,
    parent TEXT,
    settings TEXT NOT NULL,
    revision BIGINT NOT NULL,
    created BIGINT NOT NULL,
    changed BIGINT NOT NULL
);

-- What changed, for the servers: each takes in what is newer than what it knows.
CREATE TABLE changes (
    revision BIGINT NOT NULL,
    kind TEXT NOT NULL,             -- device or group
    name TEXT NOT NULL,             -- the MAC, or the group's name
    PRIMARY KEY (revision, kind, name)
);

-- What changed, for people.
CREATE TABLE audit (
    id TEXT PRIMARY KEY,
    time BIGINT NOT NULL,           -- milliseconds since 1970
    actor TEXT NOT NULL,            -- cli:USER, token:NAME, phone:MAC
    peer TEXT,                      -- the address that it came from; none: this machine
    action TEXT NOT NULL,           -- create, change, remove, …
    kind TEXT NOT NULL,             -- device, group, token, …
    name TEXT NOT NULL,
    before TEXT,                    -- JSON of what was changed, as it was; secrets masked
    after TEXT                      -- the same as it is now
);
CREATE INDEX audit_time ON audit (time);
CREATE INDEX audit_name ON audit (kind, name, time);
