-- What URLs to a mailbox's messages are signed with (RFC 4467 §9, mailbox access keys). No row: none was ever asked for, or it was reset.
CREATE TABLE url_key (
    account BIGINT NOT NULL,
    mailbox BIGINT NOT NULL,
    access  BLOB   NOT NULL,
    PRIMARY KEY (account, mailbox)
) WITHOUT ROWID;
