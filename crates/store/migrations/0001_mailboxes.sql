-- Modification sequences are counted per account, so that one number orders every change a client can ask for (RFC 7162 needs it
-- per mailbox, RFC 8620 per account).
CREATE TABLE account_state (
    account       BIGINT NOT NULL PRIMARY KEY,
    modseq        BIGINT NOT NULL,
    next_content  BIGINT NOT NULL,
    next_mailbox  BIGINT NOT NULL,
    uid_validity  BIGINT NOT NULL
);

CREATE TABLE mailbox (
    account        BIGINT NOT NULL,
    id             BIGINT NOT NULL,
    name           TEXT   NOT NULL,
    special_use    TEXT,
    uid_validity   BIGINT NOT NULL,
    uid_next       BIGINT NOT NULL,
    highest_modseq BIGINT NOT NULL,
    messages       BIGINT NOT NULL,
    unseen         BIGINT NOT NULL,
    deleted        BIGINT NOT NULL,
    size           BIGINT NOT NULL,
    recent_from    BIGINT NOT NULL,
    PRIMARY KEY (account, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX mailbox_name ON mailbox (account, name);

-- Subscriptions name mailboxes that need not exist (RFC 9051 §6.3.7).
CREATE TABLE subscription (
    account BIGINT NOT NULL,
    name    TEXT   NOT NULL,
    PRIMARY KEY (account, name)
) WITHOUT ROWID;

-- Keywords take the bits from 8 up in message.flags.
CREATE TABLE keyword (
    account BIGINT NOT NULL,
    bit     BIGINT NOT NULL,
    name    TEXT   NOT NULL,
    PRIMARY KEY (account, bit)
) WITHOUT ROWID;

-- What a message says: where its bytes are and what was read out of them once. Copies share it.
CREATE TABLE content (
    account   BIGINT NOT NULL,
    id        BIGINT NOT NULL,
    blob      BLOB   NOT NULL,
    prefix    BLOB   NOT NULL,
    size      BIGINT NOT NULL,
    envelope  BLOB   NOT NULL,
    structure BLOB   NOT NULL,
    PRIMARY KEY (account, id)
) WITHOUT ROWID;

-- A message in a mailbox. Times are seconds since 1970.
CREATE TABLE message (
    account  BIGINT NOT NULL,
    mailbox  BIGINT NOT NULL,
    uid      BIGINT NOT NULL,
    content  BIGINT NOT NULL,
    flags    BIGINT NOT NULL,
    modseq   BIGINT NOT NULL,
    received BIGINT NOT NULL,
    size     BIGINT NOT NULL,
    PRIMARY KEY (account, mailbox, uid)
) WITHOUT ROWID;
CREATE INDEX message_content ON message (account, content);

-- UIDs that were taken away, in runs: what QRESYNC tells and what the audit believes instead of a message.
CREATE TABLE expunged (
    account BIGINT NOT NULL,
    mailbox BIGINT NOT NULL,
    modseq  BIGINT NOT NULL,
    first   BIGINT NOT NULL,
    last    BIGINT NOT NULL,
    PRIMARY KEY (account, mailbox, modseq, first)
) WITHOUT ROWID;

-- Mailboxes the user deleted, with all that was in them.
CREATE TABLE mailbox_deleted (
    account BIGINT NOT NULL,
    id      BIGINT NOT NULL,
    name    TEXT   NOT NULL,
    modseq  BIGINT NOT NULL,
    PRIMARY KEY (account, id)
) WITHOUT ROWID;

-- One row for every delivery the ledger ordered: makes delivering again harmless.
CREATE TABLE arrival (
    account    BIGINT NOT NULL,
    acceptance BIGINT NOT NULL,
    recipient  BIGINT NOT NULL,
    mailbox    BIGINT NOT NULL,
    uid        BIGINT NOT NULL,
    PRIMARY KEY (account, acceptance, recipient)
) WITHOUT ROWID;
