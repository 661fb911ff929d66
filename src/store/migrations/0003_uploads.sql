-- One row per upload that is kept. Its content is a file of the node's, or, where several nodes share the database, in
-- upload_chunks; `path` tells which.
CREATE TABLE uploads (
    id TEXT PRIMARY KEY,            -- 32 hexadecimal digits that sort by time
    time BIGINT NOT NULL,           -- milliseconds since 1970-01-01T00:00:00Z
    device TEXT NOT NULL,           -- MAC
    kind TEXT NOT NULL,             -- the words of a pack's manifest
    pack TEXT NOT NULL,
    upload TEXT NOT NULL,           -- its name in the pack
    partial BIGINT NOT NULL,        -- 1: what it leaves out says nothing
    name TEXT,                      -- as the phone sent it: any text at all
    content_type TEXT,              -- the same
    fields TEXT NOT NULL,           -- the other fields of its form, as a JSON object of texts
    received BIGINT NOT NULL,       -- bytes as they came
    bytes BIGINT NOT NULL,          -- bytes as they are kept
    sha256 TEXT NOT NULL,           -- of what is kept
    encoding TEXT,                  -- what was undone: aes-256-cbc, gzip+aes128gcm
    sealed BIGINT NOT NULL,         -- 1: encrypted, and the device's key does not open it; kept as it came
    peer TEXT NOT NULL,
    listener TEXT NOT NULL,
    node TEXT NOT NULL,             -- the host that took it
    path TEXT                       -- in `uploads` of the node's data_dir; none: the content is in upload_chunks
);

-- One device's, the newest of one sort.
CREATE INDEX uploads_device ON uploads (device, pack, upload, id);

CREATE TABLE upload_chunks (
    upload TEXT NOT NULL,
    number BIGINT NOT NULL,         -- from 0
    content BYTEA NOT NULL,
    PRIMARY KEY (upload, number)
);
