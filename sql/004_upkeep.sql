-- What is kept, and how: settings of a market in this store (pseudofeed store NAME --retention ... sets them).

ALTER TABLE market ADD COLUMN IF NOT EXISTS retention interval CHECK (retention > interval '0');
ALTER TABLE market ADD COLUMN IF NOT EXISTS chunk_length interval CHECK (chunk_length > interval '0');
ALTER TABLE market ADD COLUMN IF NOT EXISTS dropped_before timestamptz;
COMMENT ON COLUMN market.retention IS 'How much of the market''s time is kept, back from its newest tick; NULL: all';
COMMENT ON COLUMN market.chunk_length IS 'Length of the chunks that this market makes; NULL: by its rate and the server''s memory';
COMMENT ON COLUMN market.dropped_before IS 'Ticks before this time were dropped by retention; NULL: none';
