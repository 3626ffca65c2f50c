-- What a person in psql wants to read: ticks by symbol.

COMMENT ON TABLE tick IS 'Every tick of every market. Each instrument has one a step; written by pseudofeed store.';
COMMENT ON COLUMN tick.time IS 'The tick''s time, UTC; whole microseconds, exactly the market''s';
COMMENT ON COLUMN tick.instrument_id IS 'instrument.instrument_id';
COMMENT ON COLUMN tick.price IS 'In the market''s currency; the exact double of the simulation';
COMMENT ON COLUMN tick.variance IS 'Heston v per year as the scheme has it: it may dip below zero, the volatility in force is sqrt(max(v, 0))';

CREATE OR REPLACE VIEW quote_history AS
SELECT m.name AS market, i.symbol, t.time, t.price, t.variance
FROM tick t
JOIN instrument i USING (instrument_id)
JOIN market m USING (market_id);
COMMENT ON VIEW quote_history IS 'Ticks by symbol: SELECT time, price FROM quote_history WHERE market = ''demo'' AND symbol = ''ALFA'' ORDER BY time DESC LIMIT 10';
