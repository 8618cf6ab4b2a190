-- A message that a script made: from which recipient of which message.
ALTER TABLE acceptance ADD COLUMN parent BIGINT;
ALTER TABLE acceptance ADD COLUMN parent_number BIGINT;
CREATE INDEX acceptance_parent ON acceptance (parent) WHERE parent IS NOT NULL;
