-- The ticks as a partitioned table of plain PostgreSQL. Partitions are made ahead of the ticks, with a length that fits the
-- market (src/pseudofeed/store/chunks.py); tick_partition keeps their bounds.

CREATE TABLE IF NOT EXISTS tick (
    time          timestamptz NOT NULL,
    instrument_id int4 NOT NULL,
    price         float8 NOT NULL,
    variance      float8 NOT NULL
) PARTITION BY RANGE (time);

-- (instrument_id, time) is indexed partition by partition: src/pseudofeed/store/chunk_index.py.
CREATE INDEX IF NOT EXISTS tick_time_idx ON tick USING brin (time);

CREATE TABLE IF NOT EXISTS tick_partition (
    name        text PRIMARY KEY,
    range_start timestamptz NOT NULL,
    range_end   timestamptz NOT NULL,
    CHECK (range_start < range_end),
    EXCLUDE USING gist (tstzrange(range_start, range_end) WITH &&)
);
COMMENT ON TABLE tick_partition IS 'The partitions of tick: from range_start up to, without, range_end.';
