-- SCRAM-SHA-1 (RFC 5802), for clients that know no other. Passwords set before have none, until they are set again.
CREATE TABLE credential_scram_sha1 (
    account_id BIGINT PRIMARY KEY,
    salt BLOB NOT NULL,
    iterations BIGINT NOT NULL,
    stored_key BLOB NOT NULL,
    server_key BLOB NOT NULL
);
