-- Bars and factor levels as partitioned tables of plain PostgreSQL; their partitions are made ahead as those of tick.

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
) PARTITION BY RANGE (time);
CREATE TABLE IF NOT EXISTS factor_level (
    time      timestamptz NOT NULL,
    factor_id int4 NOT NULL,
    increment float8 NOT NULL,
    level     float8 NOT NULL
) PARTITION BY RANGE (time);

CREATE INDEX IF NOT EXISTS bar_instrument_id_seconds_time_idx ON bar (instrument_id, seconds, time);
CREATE INDEX IF NOT EXISTS bar_time_idx ON bar USING brin (time);
CREATE INDEX IF NOT EXISTS factor_level_factor_id_time_idx ON factor_level (factor_id, time);
CREATE INDEX IF NOT EXISTS factor_level_time_idx ON factor_level USING brin (time);

CREATE TABLE IF NOT EXISTS bar_partition (
    name        text PRIMARY KEY,
    range_start timestamptz NOT NULL,
    range_end   timestamptz NOT NULL,
    CHECK (range_start < range_end),
    EXCLUDE USING gist (tstzrange(range_start, range_end) WITH &&)
);
COMMENT ON TABLE bar_partition IS 'The partitions of bar: from range_start up to, without, range_end.';
CREATE TABLE IF NOT EXISTS factor_level_partition (
    name        text PRIMARY KEY,
    range_start timestamptz NOT NULL,
    range_end   timestamptz NOT NULL,
    CHECK (range_start < range_end),
    EXCLUDE USING gist (tstzrange(range_start, range_end) WITH &&)
);
COMMENT ON TABLE factor_level_partition IS 'The partitions of factor_level: from range_start up to, without, range_end.';
