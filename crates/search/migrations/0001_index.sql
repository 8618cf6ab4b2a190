-- Contents are indexed in the order of their ids. What came last lies in the tail, a row each; from time to time the tail becomes a
-- segment, which is never changed until enough of it is gone.
CREATE TABLE search_state (
    account      BIGINT NOT NULL PRIMARY KEY,
    form         BIGINT NOT NULL,
    next_content BIGINT NOT NULL,
    next_segment BIGINT NOT NULL,
    messages     BIGINT NOT NULL
);

CREATE TABLE search_tail (
    account BIGINT NOT NULL,
    content BIGINT NOT NULL,
    mark    BIGINT NOT NULL,
    doc     BLOB   NOT NULL,
    PRIMARY KEY (account, content)
) WITHOUT ROWID;

-- Every BLOB ends in a checksum.
-- ids: the contents of a segment; layout: where the text of each is, and which pairs have a row in search_gram; cuts: of how many text was cut off; mark: the mark of the last.
CREATE TABLE search_segment (
    account BIGINT NOT NULL,
    segment BIGINT NOT NULL,
    ids     BLOB   NOT NULL,
    layout  BLOB   NOT NULL,
    cuts    BIGINT NOT NULL,
    mark    BIGINT NOT NULL,
    PRIMARY KEY (account, segment)
) WITHOUT ROWID;

-- Sort keys and short texts, a column for each use.
CREATE TABLE search_column (
    account BIGINT NOT NULL,
    segment BIGINT NOT NULL,
    kind    BIGINT NOT NULL,
    cells   BLOB   NOT NULL,
    PRIMARY KEY (account, segment, kind)
) WITHOUT ROWID;

-- The folded text itself, compressed.
CREATE TABLE search_block (
    account BIGINT NOT NULL,
    segment BIGINT NOT NULL,
    block   BIGINT NOT NULL,
    text    BLOB   NOT NULL,
    PRIMARY KEY (account, segment, block)
) WITHOUT ROWID;

-- Which texts of the segment hold three octets in a row: by the first two of them, for each third.
CREATE TABLE search_gram (
    account BIGINT NOT NULL,
    segment BIGINT NOT NULL,
    pair    BIGINT NOT NULL,
    slots   BLOB   NOT NULL,
    PRIMARY KEY (account, segment, pair)
) WITHOUT ROWID;
