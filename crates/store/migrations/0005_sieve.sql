-- Sieve scripts. version orders the changes of the account and is what a writer shows to prove what it had read. Times are seconds
-- since 1970.
CREATE TABLE script (
    account  BIGINT NOT NULL,
    name     TEXT   NOT NULL,
    text     TEXT   NOT NULL,
    active   BIGINT NOT NULL,
    created  BIGINT NOT NULL,
    changed  BIGINT NOT NULL,
    version  BIGINT NOT NULL,
    error    TEXT,
    error_at BIGINT,
    told_at  BIGINT,
    PRIMARY KEY (account, name)
) WITHOUT ROWID;

-- To whom vacation has answered, and until when not again (RFC 5230 §4.2).
CREATE TABLE script_answered (
    account BIGINT NOT NULL,
    handle  TEXT   NOT NULL,
    sender  TEXT   NOT NULL,
    until   BIGINT NOT NULL,
    PRIMARY KEY (account, handle, sender)
) WITHOUT ROWID;

-- Ids that the test duplicate remembers (RFC 7352 §3).
CREATE TABLE script_seen (
    account BIGINT NOT NULL,
    handle  TEXT   NOT NULL,
    id      TEXT   NOT NULL,
    until   BIGINT NOT NULL,
    PRIMARY KEY (account, handle, id)
) WITHOUT ROWID;

-- Messages that scripts of the account have sent, by hour since 1970.
CREATE TABLE script_sent (
    account  BIGINT NOT NULL,
    hour     BIGINT NOT NULL,
    messages BIGINT NOT NULL,
    PRIMARY KEY (account, hour)
) WITHOUT ROWID;

-- What a script decided about a delivery, written with what it filed: a crash before the ledger's settlement finds it here and decides
-- nothing again. blobs: hashes, one behind the other, of messages that go out.
CREATE TABLE script_decision (
    account    BIGINT NOT NULL,
    acceptance BIGINT NOT NULL,
    recipient  BIGINT NOT NULL,
    decided    BIGINT NOT NULL,
    plan       TEXT   NOT NULL,
    blobs      BLOB   NOT NULL,
    PRIMARY KEY (account, acceptance, recipient)
) WITHOUT ROWID;
