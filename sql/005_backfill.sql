-- What `pseudofeed backfill` has simulated straight into the store, so that the stream leaves it out and verify knows it.

CREATE TABLE IF NOT EXISTS backfill (
    market_id  int4 NOT NULL REFERENCES market,
    first_step int8 NOT NULL CHECK (first_step > 0),
    last_step  int8 NOT NULL,
    done       int8multirange NOT NULL DEFAULT '{}',
    held       jsonb NOT NULL DEFAULT '[]',
    claimed_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (market_id, first_step),
    CHECK (first_step <= last_step)
) WITH (fillfactor = 50);
COMMENT ON TABLE backfill IS 'Ranges of steps that pseudofeed backfill has claimed: from then on they are its to write, and pseudofeed store leaves them out. Ranges of one market do not overlap.';
COMMENT ON COLUMN backfill.market_id IS 'The market whose steps they are';
COMMENT ON COLUMN backfill.first_step IS 'The first claimed step';
COMMENT ON COLUMN backfill.last_step IS 'The last claimed step';
COMMENT ON COLUMN backfill.done IS 'The steps of the range that are complete; grows in the same transaction as the ticks, so each tick is stored exactly once';
COMMENT ON COLUMN backfill.held IS 'What the stream had stored when the range was claimed, and the backfill leaves out: [kind, partition, first step, last step, last_number as in sink_offset]';
COMMENT ON COLUMN backfill.claimed_at IS 'When the range was claimed, by the server''s clock';
COMMENT ON COLUMN backfill.updated_at IS 'When it last grew, by the server''s clock';

COMMENT ON COLUMN market.epoch IS 'When the market was registered in Kafka, ms since 1970; 0: it was only backfilled so far, and partitions may change';
