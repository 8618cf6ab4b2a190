-- When a message came into its mailbox (RFC 8514). Left open for messages that were there before.
ALTER TABLE message ADD COLUMN saved BIGINT;

-- The first words of a message (RFC 8970). Left open where they were not worked out.
ALTER TABLE content ADD COLUMN preview TEXT;

-- The conversation a message belongs to (RFC 8474), once somebody has asked: the id of the first content of it.
ALTER TABLE content ADD COLUMN thread BIGINT;

-- Message-IDs that were seen in headers, hashed, and the conversation they belong to.
CREATE TABLE thread_reference (
    account BIGINT NOT NULL,
    hash    BIGINT NOT NULL,
    thread  BIGINT NOT NULL,
    PRIMARY KEY (account, hash)
) WITHOUT ROWID;
CREATE INDEX content_thread ON content (account, thread);
