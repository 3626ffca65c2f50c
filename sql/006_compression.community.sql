-- TimescaleDB Community only: ticks compressed instrument by instrument, and one-minute bars kept up to date by the server.

ALTER TABLE tick SET (
    timescaledb.compress,
    timescaledb.compress_segmentby = 'instrument_id',
    timescaledb.compress_orderby = 'time'
);

CREATE MATERIALIZED VIEW IF NOT EXISTS bar_minute
WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT time_bucket(interval '1 minute', time) AS time, instrument_id,
       first(price, time) AS open, max(price) AS high, min(price) AS low, last(price, time) AS close, count(*) AS ticks
FROM tick
GROUP BY 1, 2
WITH NO DATA;
COMMENT ON VIEW bar_minute IS 'One-minute bars of every instrument, stamped with their opening times; refreshed by pseudofeed store while it is idle';
