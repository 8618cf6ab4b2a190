-- Who may do what with a mailbox (RFC 4314). Mailbox 0 is what a new mailbox at the top begins with. Identifiers: anyone, authenticated,
-- account:ID, group:ID; with a - in front: these rights are taken away.
CREATE TABLE acl (
    account    BIGINT NOT NULL,
    mailbox    BIGINT NOT NULL,
    identifier TEXT   NOT NULL,
    rights     TEXT   NOT NULL,
    PRIMARY KEY (account, mailbox, identifier)
) WITHOUT ROWID;

-- Mailboxes in which everybody but the owner has a \Seen of their own. Mailbox 0: new mailboxes at the top are so.
CREATE TABLE seen_own (
    account BIGINT NOT NULL,
    mailbox BIGINT NOT NULL,
    PRIMARY KEY (account, mailbox)
) WITHOUT ROWID;

-- What these readers have seen; seen = 0: saw and marked as new again, at that modseq. No row: not seen.
CREATE TABLE seen (
    account BIGINT NOT NULL,
    mailbox BIGINT NOT NULL,
    reader  BIGINT NOT NULL,
    uid     BIGINT NOT NULL,
    seen    BIGINT NOT NULL,
    modseq  BIGINT NOT NULL,
    PRIMARY KEY (account, mailbox, reader, uid)
) WITHOUT ROWID;

-- What is said about mailboxes (RFC 5464). Mailbox 0: about the server, for this account's eyes. Reader 0: everybody's, otherwise whose.
CREATE TABLE metadata (
    account BIGINT NOT NULL,
    mailbox BIGINT NOT NULL,
    reader  BIGINT NOT NULL,
    entry   TEXT   NOT NULL,
    value   BLOB   NOT NULL,
    PRIMARY KEY (account, mailbox, reader, entry)
) WITHOUT ROWID;
