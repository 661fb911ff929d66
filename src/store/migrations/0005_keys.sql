-- The master keys that secrets in this database were sealed with; the keys themselves are in no database.
CREATE TABLE keys (
    id TEXT PRIMARY KEY,            -- 8 hexadecimal digits, as they stand in every sealed text
    check_value TEXT NOT NULL,      -- a known text, sealed: tells another key that would have the same id
    created BIGINT NOT NULL         -- milliseconds since 1970-01-01T00:00:00Z
);
