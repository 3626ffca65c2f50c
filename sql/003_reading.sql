-- What people read: comments, and a role that may read everything and change nothing.

COMMENT ON COLUMN market.market_id IS 'Unique in this store';
COMMENT ON COLUMN market.name IS 'The name that commands take';
COMMENT ON COLUMN instrument.market_id IS 'The market that it belongs to';
COMMENT ON COLUMN instrument.symbol IS 'The name that people know; unique in its market';
COMMENT ON COLUMN factor.factor_id IS 'Unique in this store; what the tables of factors'' records have';
COMMENT ON COLUMN factor.market_id IS 'The market that it belongs to';
COMMENT ON COLUMN factor.number IS 'The number in the market, from 0';
COMMENT ON COLUMN factor.name IS 'Its name, unique in its market';
COMMENT ON COLUMN market_close.market_id IS 'The market whose trading it is';
COMMENT ON COLUMN sink_offset.market_id IS 'The market whose topic it is';
COMMENT ON COLUMN sink_offset.partition IS 'The partition of the topic';
COMMENT ON COLUMN sink_offset.updated_at IS 'When it last moved, by the server''s clock';
COMMENT ON COLUMN quarantine.market_id IS 'The market whose topic it was in';
COMMENT ON COLUMN quarantine.topic IS 'The topic';
COMMENT ON COLUMN quarantine.partition IS 'The partition of the topic';

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'pseudofeed_reader') THEN
        CREATE ROLE pseudofeed_reader NOLOGIN;
        COMMENT ON ROLE pseudofeed_reader IS 'May read what pseudofeed has stored, and change nothing: GRANT pseudofeed_reader TO somebody';
    END IF;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'no role pseudofeed_reader: this user may not create roles. An administrator can: CREATE ROLE pseudofeed_reader NOLOGIN; then run pseudofeed store --migrate again';
    WHEN duplicate_object OR unique_violation THEN
        NULL;  -- another database's pseudofeed was faster
END
$$;
