-- The bytes on their way lie in numbered places, which are used again: a row of the same size is written over where it lies, and no page comes
-- or goes. What has arrived meanwhile stays in its place until another message takes that, or the index is brought forward.
-- bytes: filled up with zeros behind `size`.
ALTER TABLE content_fresh RENAME TO content_fresh_before;
CREATE TABLE content_fresh (
    account BIGINT NOT NULL,
    place   BIGINT NOT NULL,
    id      BIGINT NOT NULL,
    size    BIGINT NOT NULL,
    bytes   BLOB   NOT NULL,
    PRIMARY KEY (account, place)
) WITHOUT ROWID;
INSERT INTO content_fresh (account, place, id, size, bytes) SELECT account, id, id, length(bytes), bytes FROM content_fresh_before;
DROP TABLE content_fresh_before;
