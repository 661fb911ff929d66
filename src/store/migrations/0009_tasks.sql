-- What phones are to be asked for by their ACS, and what came of it.
CREATE TABLE acs_tasks (
    id TEXT PRIMARY KEY,            -- orders by time; the CommandKey of transfers
    mac TEXT NOT NULL,
    settings TEXT NOT NULL,         -- JSON: what is to be done; secrets in it are sealed
    state TEXT NOT NULL,            -- waiting, running, started, done, failed, expired, cancelled
    tries BIGINT NOT NULL,          -- how often it was begun
    most_tries BIGINT NOT NULL,
    due BIGINT NOT NULL,            -- not before, milliseconds since 1970; while it is running: until when at most
    expires BIGINT NOT NULL,
    created BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    bulk TEXT,                      -- of which bulk it is one
    bulk_stop BIGINT,               -- failures after which the bulk's others are cancelled
    ticket TEXT,                    -- SHA-256 of what opens its file, in hexadecimal
    serves TEXT,                    -- what that opens
    call BIGINT NOT NULL,           -- 1: the phone is to be asked to come; 2: it was
    called TEXT,                    -- what came of that
    result TEXT,                    -- JSON
    fault BIGINT,                   -- the phone's code
    why TEXT,                       -- why it failed, or was put off
    finished BIGINT
);
CREATE INDEX acs_tasks_mac ON acs_tasks (mac, id);
CREATE INDEX acs_tasks_state ON acs_tasks (state, due);
CREATE INDEX acs_tasks_bulk ON acs_tasks (bulk, state);
CREATE UNIQUE INDEX acs_tasks_ticket ON acs_tasks (ticket);
