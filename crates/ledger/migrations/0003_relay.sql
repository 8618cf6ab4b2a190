-- What the way to other servers needs to know of a message. quarantine: why it goes to Junk, unless its recipient's own rules say otherwise.
ALTER TABLE acceptance ADD COLUMN bulk BIGINT NOT NULL DEFAULT 0;
ALTER TABLE acceptance ADD COLUMN requiretls BIGINT NOT NULL DEFAULT 0;
ALTER TABLE acceptance ADD COLUMN quarantine TEXT;
UPDATE acceptance SET quarantine = notes
WHERE notes LIKE 'quarantined: %' AND id IN (SELECT acceptance FROM recipient WHERE state <> 1);

-- destination: what remote recipients are grouped by; the relay groups anew at its start what has none. priority: 0 people's mail, 1 bulk.
-- sender: a number made of who sent it, so that each gets a turn. queued_at: when its lifetime began; 0: when the ledger is opened next.
-- delay_told: the sender knows that it is late.
ALTER TABLE recipient ADD COLUMN destination TEXT;
ALTER TABLE recipient ADD COLUMN priority BIGINT NOT NULL DEFAULT 0;
ALTER TABLE recipient ADD COLUMN sender BIGINT NOT NULL DEFAULT 0;
ALTER TABLE recipient ADD COLUMN queued_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE recipient ADD COLUMN delay_told BIGINT NOT NULL DEFAULT 0;

DROP INDEX recipient_due;
DROP INDEX recipient_held;
CREATE INDEX recipient_due ON recipient (due_at) WHERE state = 0 AND lane = 0;
CREATE INDEX recipient_queue ON recipient (destination, priority, due_at, queued_at, delay_told) WHERE state = 0 AND lane = 1;
-- Only what nobody has in hand: fresh mail, which is handed over as it comes in, never enters it.
CREATE INDEX recipient_turn ON recipient (destination, priority, sender, due_at) WHERE state = 0 AND lane = 1 AND lease_until = 0;
CREATE INDEX recipient_open ON recipient (acceptance) WHERE state <> 1;

-- Attempts to hand a recipient to another server. The first ones keep their slot, later ones share the rest in turn.
CREATE TABLE attempt (
    acceptance BIGINT NOT NULL,
    number     BIGINT NOT NULL,
    slot       BIGINT NOT NULL,
    at         BIGINT NOT NULL,
    host       TEXT   NOT NULL,
    address    TEXT,
    tls        TEXT,
    policy     TEXT   NOT NULL,
    outcome    TEXT   NOT NULL,
    reply      TEXT   NOT NULL,
    PRIMARY KEY (acceptance, number, slot)
) WITHOUT ROWID;

-- Destinations that can't be reached: all their mail waits until retry_at.
CREATE TABLE destination (
    name      TEXT   NOT NULL PRIMARY KEY,
    failures  BIGINT NOT NULL,
    since     BIGINT NOT NULL,
    failed_at BIGINT NOT NULL,
    retry_at  BIGINT NOT NULL,
    reason    TEXT   NOT NULL
);
