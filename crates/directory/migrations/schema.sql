-- The whole schema of component "directory", as all steps together must leave it (tests/schema.rs).

-- One row, id 1.
CREATE TABLE directory_state (
    id BIGINT PRIMARY KEY,
    generation BIGINT NOT NULL,          -- grows with every change: tells a reader whether it must look again
    next_account_id BIGINT NOT NULL,     -- ids are given once and never again
    secret BLOB                          -- 32 random octets: makes up SCRAM credentials for users that do not exist
);

CREATE TABLE domain (
    domain TEXT PRIMARY KEY,             -- lower case, A-labels
    catch_all TEXT                       -- address that gets what nobody else does
);

CREATE TABLE account (
    account_id BIGINT PRIMARY KEY,
    name TEXT NOT NULL,                  -- of the person, for display
    disabled BIGINT NOT NULL,
    admin BIGINT NOT NULL,
    quota_bytes BIGINT,                  -- NULL: none
    deleted BIGINT NOT NULL              -- 1: a tombstone
    , quota_messages BIGINT);            -- NULL: none

-- Every address of our own, canonical. One belongs to an account or is an alias, never both.
CREATE TABLE address (
    address TEXT PRIMARY KEY,
    account_id BIGINT,                   -- NULL: an alias, see alias_target
    position BIGINT NOT NULL             -- an account's first address is its main one
);
CREATE INDEX address_account ON address (account_id, position);

CREATE TABLE alias_target (
    alias TEXT NOT NULL,
    position BIGINT NOT NULL,
    target TEXT NOT NULL,                -- local part as given: its case may matter elsewhere
    PRIMARY KEY (alias, position)
);

CREATE TABLE credential (
    account_id BIGINT PRIMARY KEY,
    argon2 TEXT NOT NULL,                -- PHC string, argon2id
    scram_salt BLOB NOT NULL,            -- SCRAM-SHA-256, RFC 5802 §3
    scram_iterations BIGINT NOT NULL,
    scram_stored_key BLOB NOT NULL,
    scram_server_key BLOB NOT NULL
);

CREATE TABLE credential_scram_sha1 (
    account_id BIGINT PRIMARY KEY,
    salt BLOB NOT NULL,
    iterations BIGINT NOT NULL,
    stored_key BLOB NOT NULL,
    server_key BLOB NOT NULL
);

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

-- Addresses that an account may send under beside its own. `@domain`: all of that domain.
CREATE TABLE sends_as (
    account_id BIGINT NOT NULL,
    address TEXT NOT NULL,               -- canonical, of ours or elsewhere
    PRIMARY KEY (account_id, address)
);

-- Accounts that have sent as if somebody had stolen them: what they send is held back until an administrator has looked.
CREATE TABLE sending_held (
    account_id BIGINT PRIMARY KEY,
    since BIGINT NOT NULL,               -- seconds since 1970
    reason TEXT NOT NULL                 -- for people
);

-- Who is told when what an account sends on cannot be delivered. Accounts without a row: as the settings say.
CREATE TABLE forwarding (
    account_id BIGINT PRIMARY KEY,
    tells_owner BIGINT NOT NULL          -- 1: the account; 0: who had sent the message
);
