-- One row per request, or per connection that came to none. The columns are the fields of an event; the words in kind,
-- outcome, refusal and flags are those of `resyncd log`.
CREATE TABLE events (
    id TEXT PRIMARY KEY,            -- 32 hexadecimal digits that sort by time
    time BIGINT NOT NULL,           -- milliseconds since 1970-01-01T00:00:00Z
    kind TEXT NOT NULL,
    listener TEXT NOT NULL,
    peer TEXT NOT NULL,
    method TEXT NOT NULL,
    target TEXT NOT NULL,
    status BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    duration_us BIGINT NOT NULL,    -- microseconds
    tls_version TEXT,
    tls_cipher TEXT,
    certificate TEXT,
    user_agent TEXT,
    vendor TEXT,
    model TEXT,
    firmware TEXT,
    device TEXT,
    asked_mac TEXT,
    file TEXT,
    generation BIGINT NOT NULL,
    encoding TEXT,
    outcome TEXT NOT NULL,
    refusal TEXT,
    reason TEXT,
    flags TEXT NOT NULL             -- with commas between
);

-- The newest, a span of time, and what is old enough to go.
CREATE INDEX events_time ON events (time);

-- One phone's events: its device's, or those that asked for its MAC while there was no device.
CREATE INDEX events_mac ON events ((COALESCE(device, asked_mac)), time);
