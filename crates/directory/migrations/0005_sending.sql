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
