-- A message we answered 250 for. The id is the moment of acceptance in microseconds, shifted left by ten bits: it orders, and it is unique.
-- Times are seconds since 1970.
CREATE TABLE acceptance (
    id          BIGINT NOT NULL PRIMARY KEY,
    received_at BIGINT NOT NULL,
    sender      TEXT   NOT NULL,
    blob        BLOB   NOT NULL,
    size        BIGINT NOT NULL,
    recipients  BIGINT NOT NULL,
    protocol    TEXT   NOT NULL,
    listener    TEXT   NOT NULL,
    client      TEXT   NOT NULL,
    helo        TEXT   NOT NULL,
    tls         TEXT,
    login       BIGINT,
    envid       TEXT,
    ret         TEXT,
    body        TEXT   NOT NULL,
    smtputf8    BIGINT NOT NULL,
    session     TEXT   NOT NULL,
    message_id  TEXT,
    notes       TEXT
);
CREATE INDEX acceptance_sender ON acceptance (sender, id);

-- One row a recipient: this is the queue, and later the history. lane: 0 local, 1 remote. state: 0 due, 1 settled, 2 held.
CREATE TABLE recipient (
    acceptance   BIGINT NOT NULL,
    number       BIGINT NOT NULL,
    parent       BIGINT,
    address      TEXT   NOT NULL,
    original     TEXT,
    notify       TEXT,
    lane         BIGINT NOT NULL,
    state        BIGINT NOT NULL,
    due_at       BIGINT NOT NULL,
    lease_holder BIGINT NOT NULL,
    lease_until  BIGINT NOT NULL,
    attempts     BIGINT NOT NULL,
    strategy     TEXT,
    reason       TEXT,
    fate         TEXT,
    settled_at   BIGINT,
    detail       TEXT,
    account      BIGINT,
    mailbox      BIGINT,
    uid          BIGINT,
    PRIMARY KEY (acceptance, number)
) WITHOUT ROWID;
CREATE INDEX recipient_due ON recipient (lane, due_at) WHERE state = 0;
CREATE INDEX recipient_held ON recipient (acceptance) WHERE state = 2;
CREATE INDEX recipient_address ON recipient (address, acceptance);
