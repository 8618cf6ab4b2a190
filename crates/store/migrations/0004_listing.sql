-- Header fields that mail programs ask for when they list a mailbox, as they stand in the message. A content whose fields are too long
-- to be kept has no row here. A table of its own, so that each of the two answers is read in one walk over few pages.
CREATE TABLE content_fields (
    account BIGINT NOT NULL,
    id      BIGINT NOT NULL,
    fields  BLOB   NOT NULL,
    PRIMARY KEY (account, id)
) WITHOUT ROWID;

-- The messages of a deleted mailbox are taken away afterwards, some at a time. 1: none is left.
ALTER TABLE mailbox_deleted ADD COLUMN emptied BIGINT NOT NULL DEFAULT 0;
