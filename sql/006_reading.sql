-- What people read: comments with units, views by name, and a role that may read everything and change nothing.

COMMENT ON TABLE bar IS 'Bars: what an instrument''s price did in each window of `seconds` that had ticks.';
COMMENT ON COLUMN bar.time IS 'The window''s opening time, UTC; the window ends before time + seconds';
COMMENT ON COLUMN bar.instrument_id IS 'instrument.instrument_id';
COMMENT ON COLUMN bar.seconds IS 'The window''s length';
COMMENT ON COLUMN bar.open IS 'Price of the window''s first tick, in the market''s currency';
COMMENT ON COLUMN bar.high IS 'Highest price in the window, in the market''s currency';
COMMENT ON COLUMN bar.low IS 'Lowest price in the window, in the market''s currency';
COMMENT ON COLUMN bar.close IS 'Price of the window''s last tick, in the market''s currency';
COMMENT ON COLUMN bar.ticks IS 'How many ticks the window had; what tools that want a volume are given';
COMMENT ON COLUMN bar.first_step IS 'Step of the window''s first tick';
COMMENT ON COLUMN bar.last_step IS 'Step of the window''s last tick';

COMMENT ON TABLE factor_level IS 'What the factors of every market did, a row a factor and step.';
COMMENT ON COLUMN factor_level.time IS 'The end of the step, UTC';
COMMENT ON COLUMN factor_level.factor_id IS 'factor.factor_id';
COMMENT ON COLUMN factor_level.increment IS 'The factor''s return in this step (no unit: 0.01 is 1 %)';
COMMENT ON COLUMN factor_level.level IS 'The running sum of the increments since step 0';

COMMENT ON COLUMN market.market_id IS 'Unique in this store';
COMMENT ON COLUMN market.name IS 'The name that commands take';
COMMENT ON COLUMN instrument.market_id IS 'The market that it belongs to';
COMMENT ON COLUMN instrument.symbol IS 'The name that people know; unique in its market';
COMMENT ON COLUMN factor.factor_id IS 'Unique in this store; what the table factor_level has';
COMMENT ON COLUMN factor.market_id IS 'The market that it belongs to';
COMMENT ON COLUMN factor.number IS 'The number in the market, from 0';
COMMENT ON COLUMN factor.name IS 'Its name, unique in its market';
COMMENT ON COLUMN sink_offset.market_id IS 'The market whose topic it is';
COMMENT ON COLUMN sink_offset.partition IS 'The partition of the topic';
COMMENT ON COLUMN sink_offset.updated_at IS 'When it last moved, by the server''s clock';
COMMENT ON COLUMN quarantine.market_id IS 'The market whose topic it was in';
COMMENT ON COLUMN quarantine.topic IS 'The topic';
COMMENT ON COLUMN quarantine.partition IS 'The partition of the topic';

CREATE OR REPLACE VIEW bar_history AS
SELECT m.name AS market, i.symbol, b.seconds, b.time, b.open, b.high, b.low, b.close, b.ticks
FROM bar b
JOIN instrument i USING (instrument_id)
JOIN market m USING (market_id);
COMMENT ON VIEW bar_history IS 'Bars by symbol: SELECT * FROM bar_history WHERE market = ''demo'' AND symbol = ''ALFA'' AND seconds = 60 ORDER BY time';

CREATE OR REPLACE VIEW factor_history AS
SELECT m.name AS market, f.name AS factor, l.time, l.increment, l.level
FROM factor_level l
JOIN factor f USING (factor_id)
JOIN market m USING (market_id);
COMMENT ON VIEW factor_history IS 'Factor levels by name: SELECT time, level FROM factor_history WHERE market = ''demo'' AND factor = ''market'' ORDER BY time';

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
