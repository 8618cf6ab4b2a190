-- Accounts nobody logs into: mailboxes that their members share.
CREATE TABLE group_account (
    account_id BIGINT PRIMARY KEY
);

CREATE TABLE group_member (
    group_id BIGINT NOT NULL,
    account_id BIGINT NOT NULL,
    PRIMARY KEY (group_id, account_id)
);

-- Whose mailboxes somebody may be able to see: an index of the access control lists in the accounts' own files. It may name too many,
-- never too few.
CREATE TABLE shared_with (
    owner_id BIGINT NOT NULL,
    grantee TEXT NOT NULL,               -- anyone, authenticated, account:ID, group:ID
    PRIMARY KEY (owner_id, grantee)
);

-- What is said about the server for everybody (RFC 5464).
CREATE TABLE server_metadata (
    entry TEXT PRIMARY KEY,
    value BLOB NOT NULL
);
