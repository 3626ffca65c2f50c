-- The ticks as a TimescaleDB hypertable. Its chunks are made ahead of the ticks, with a length that fits the market
-- (src/pseudofeed/store/chunks.py); the interval set here is only what a stranger's INSERT would get.

CREATE TABLE IF NOT EXISTS tick (
    time          timestamptz NOT NULL,
    instrument_id int4 NOT NULL,
    price         float8 NOT NULL,
    variance      float8 NOT NULL
);

DO $$
DECLARE
    extension_schema text := (
        SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'timescaledb');
BEGIN
    EXECUTE format(
        'SELECT %I.create_hypertable(%L::regclass, %L, create_default_indexes => false, if_not_exists => true,'
        ' chunk_time_interval => interval %L)', extension_schema, 'tick', 'time', '1 day');
END
$$;

-- (instrument_id, time) is indexed chunk by chunk: src/pseudofeed/store/chunk_index.py.
