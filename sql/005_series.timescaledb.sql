-- Bars and factor levels as hypertables; their chunks are made ahead as those of tick.

CREATE TABLE IF NOT EXISTS bar (
    time          timestamptz NOT NULL,
    instrument_id int4 NOT NULL,
    seconds       float8 NOT NULL CHECK (seconds > 0),
    open          float8 NOT NULL,
    high          float8 NOT NULL,
    low           float8 NOT NULL,
    close         float8 NOT NULL,
    ticks         int8 NOT NULL CHECK (ticks > 0),
    first_step    int8 NOT NULL,
    last_step     int8 NOT NULL
);
CREATE TABLE IF NOT EXISTS factor_level (
    time      timestamptz NOT NULL,
    factor_id int4 NOT NULL,
    increment float8 NOT NULL,
    level     float8 NOT NULL
);

DO $$
DECLARE
    extension_schema text := (
        SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'timescaledb');
    hypertable text;
BEGIN
    FOREACH hypertable IN ARRAY ARRAY['bar', 'factor_level'] LOOP
        EXECUTE format(
            'SELECT %I.create_hypertable(%L::regclass, %L, create_default_indexes => false, if_not_exists => true,'
            ' chunk_time_interval => interval %L)', extension_schema, hypertable, 'time', '1 day');
    END LOOP;
END
$$;

CREATE INDEX IF NOT EXISTS bar_instrument_id_seconds_time_idx ON bar (instrument_id, seconds, time);
CREATE INDEX IF NOT EXISTS factor_level_factor_id_time_idx ON factor_level (factor_id, time);
