-- Who is told when what an account sends on cannot be delivered. Accounts without a row: as the settings say.
CREATE TABLE forwarding (
    account_id BIGINT PRIMARY KEY,
    tells_owner BIGINT NOT NULL          -- 1: the account; 0: who had sent the message
);
