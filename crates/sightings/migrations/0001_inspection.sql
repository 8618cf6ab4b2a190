-- Who was asked to come back, and who did. subject: a hash of network, sender and recipient, or of a network alone once it has come back.
-- passed: it came back in time. Times are seconds since 1970.
CREATE TABLE greylist (
    subject  BLOB   NOT NULL PRIMARY KEY,
    first_at BIGINT NOT NULL,
    last_at  BIGINT NOT NULL,
    passed   BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX greylist_last ON greylist (last_at);

-- What was seen of mail in a domain's name on a day: a line of its aggregate report (RFC 7489 §7.2). line: what the messages have in common, JSON.
CREATE TABLE dmarc_seen (
    day     BIGINT NOT NULL,
    domain  TEXT   NOT NULL,
    line    TEXT   NOT NULL,
    record  TEXT   NOT NULL,
    count   BIGINT NOT NULL,
    PRIMARY KEY (day, domain, line)
) WITHOUT ROWID;
