-- Markets and what they are made of. Written when a market is registered, read by everybody, hardly ever changed.

CREATE TABLE IF NOT EXISTS market (
    market_id     int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name          text NOT NULL UNIQUE,
    fingerprint   numeric(20, 0) NOT NULL,
    specification jsonb NOT NULL,
    partitions    int4 NOT NULL CHECK (partitions > 0),
    epoch         int8 NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE market IS 'A market: its specification and seed determine every tick of it.';
COMMENT ON COLUMN market.fingerprint IS 'First 64 bits of a SHA-256 of the canonical specification, unsigned; every message carries it';
COMMENT ON COLUMN market.specification IS 'The market file with every default filled in; rates and volatilities are per year';
COMMENT ON COLUMN market.partitions IS 'Partitions of the topic ticks.<name>';
COMMENT ON COLUMN market.epoch IS 'When the market was registered in Kafka, ms since 1970';
COMMENT ON COLUMN market.created_at IS 'When the market was registered in this store';

CREATE TABLE IF NOT EXISTS instrument (
    instrument_id            int4 PRIMARY KEY CHECK (instrument_id > 0),
    market_id                int4 NOT NULL REFERENCES market,
    number                   int4 NOT NULL CHECK (number >= 0),
    symbol                   text NOT NULL,
    initial_price            float8 NOT NULL,
    initial_variance         float8 NOT NULL,
    drift                    float8 NOT NULL,
    kappa                    float8 NOT NULL,
    theta                    float8 NOT NULL,
    xi                       float8 NOT NULL,
    rho                      float8 NOT NULL,
    idiosyncratic_volatility float8 NOT NULL,
    factor_loadings          float8[] NOT NULL,
    UNIQUE (market_id, number),
    UNIQUE (market_id, symbol)
);
COMMENT ON TABLE instrument IS 'The instruments of all markets; a market has a run of instrument_ids, in the order of its numbers.';
COMMENT ON COLUMN instrument.instrument_id IS 'Unique in this store; what the tables of instruments'' records have';
COMMENT ON COLUMN instrument.number IS 'The number in the market, from 0; what messages carry';
COMMENT ON COLUMN instrument.initial_price IS 'Price at step 0, in the market''s currency';
COMMENT ON COLUMN instrument.initial_variance IS 'Heston v at step 0, per year';
COMMENT ON COLUMN instrument.drift IS 'Heston mu, per year';
COMMENT ON COLUMN instrument.kappa IS 'Heston kappa: mean reversion of the variance, per year';
COMMENT ON COLUMN instrument.theta IS 'Heston theta: long-run variance, per year';
COMMENT ON COLUMN instrument.xi IS 'Heston xi: volatility of the variance, per year';
COMMENT ON COLUMN instrument.rho IS 'Heston rho: correlation of price and variance shocks, -1 to 1';
COMMENT ON COLUMN instrument.idiosyncratic_volatility IS 'The instrument''s own constant volatility, per square root of a year';
COMMENT ON COLUMN instrument.factor_loadings IS 'Loading on each of the market''s factors, in the order of factor.number';

CREATE TABLE IF NOT EXISTS factor (
    factor_id    int4 PRIMARY KEY CHECK (factor_id > 0),
    market_id    int4 NOT NULL REFERENCES market,
    number       int4 NOT NULL CHECK (number >= 0),
    name         text NOT NULL,
    volatility   float8 NOT NULL,
    drift        float8 NOT NULL,
    correlations float8[] NOT NULL,
    UNIQUE (market_id, number),
    UNIQUE (market_id, name)
);
COMMENT ON TABLE factor IS 'The factors that move the instruments of a market.';
COMMENT ON COLUMN factor.volatility IS 'Per square root of a year';
COMMENT ON COLUMN factor.drift IS 'Per year';
COMMENT ON COLUMN factor.correlations IS 'Correlation with each factor of the market, in the order of number';

CREATE TABLE IF NOT EXISTS market_close (
    market_id int4 NOT NULL REFERENCES market,
    time      timestamptz NOT NULL,
    PRIMARY KEY (market_id, time)
);
COMMENT ON TABLE market_close IS 'When trading ends on an exchange''s calendar: the closes of its sessions and the beginnings of its lunch breaks. A tick at that time belongs to the bar before it.';
COMMENT ON COLUMN market_close.time IS 'Of the market''s timetable, as far as that reaches';

CREATE TABLE IF NOT EXISTS sink_offset (
    market_id      int4 NOT NULL REFERENCES market,
    kind           text NOT NULL,
    partition      int4 NOT NULL CHECK (partition >= 0),
    topic_id       text,
    next_offset    int8 NOT NULL CHECK (next_offset >= 0),
    first_sequence int8,
    last_sequence  int8,
    last_number    int4,
    may_skip       boolean NOT NULL DEFAULT false,
    updated_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (market_id, kind, partition)
) WITH (fillfactor = 50);
COMMENT ON TABLE sink_offset IS 'How far each partition of a market''s topics is stored. Changes in the same transaction as the records, so each record is stored exactly once.';
COMMENT ON COLUMN sink_offset.kind IS 'The kind of record that the topic has: tick, factor, ...';
COMMENT ON COLUMN sink_offset.topic_id IS 'Kafka''s id of the topic that the offsets belong to; NULL where the broker has no such ids';
COMMENT ON COLUMN sink_offset.next_offset IS 'The first offset that is not stored yet';
COMMENT ON COLUMN sink_offset.first_sequence IS 'The first step that was read of the partition; NULL: none yet, or 1 where last_sequence is not';
COMMENT ON COLUMN sink_offset.last_sequence IS 'The newest stored step of the partition; 0: none yet; NULL: not known, the topic had lost its beginning';
COMMENT ON COLUMN sink_offset.last_number IS 'Of ticks and factors the number in the market of the newest stored one; of events how many of that step are stored, NULL where it is complete';
COMMENT ON COLUMN sink_offset.may_skip IS 'The last message read is in quarantine: what comes next need not be the next in order, only later';
