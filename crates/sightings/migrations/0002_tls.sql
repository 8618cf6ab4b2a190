-- How TLS with domains went, by day (RFC 8460), as dmarc_seen has it for mail in their name.
CREATE TABLE tls_seen (
    day    BIGINT NOT NULL,
    domain TEXT    NOT NULL,
    line   TEXT    NOT NULL,
    record TEXT    NOT NULL,
    count  BIGINT NOT NULL,
    PRIMARY KEY (day, domain, line)
) WITHOUT ROWID;

-- Policies of other domains, for as long as they said (RFC 8461 §3.2).
CREATE TABLE sts_policy (
    domain  TEXT   NOT NULL PRIMARY KEY,
    id      TEXT    NOT NULL,
    policy  TEXT    NOT NULL,
    fetched BIGINT NOT NULL,
    expires BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX sts_policy_expires ON sts_policy (expires);
