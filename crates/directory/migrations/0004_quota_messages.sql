-- A bound on how many messages an account may hold, beside that on their octets. NULL: none.
ALTER TABLE account ADD COLUMN quota_messages BIGINT;
