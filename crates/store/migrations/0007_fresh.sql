-- Bytes of messages that came a moment ago: they are here, in the account's own log, until the blob store has them on disk as well, so that an
-- APPEND waits for the disk once. Rows go when the index is brought forward, or with the next APPEND.
CREATE TABLE content_fresh (
    account BIGINT NOT NULL,
    id      BIGINT NOT NULL,
    bytes   BLOB   NOT NULL,
    PRIMARY KEY (account, id)
) WITHOUT ROWID;
