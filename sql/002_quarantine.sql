-- Messages that could not be read, kept so that nothing of a topic is lost silently.

CREATE TABLE IF NOT EXISTS quarantine (
    market_id      int4 NOT NULL REFERENCES market,
    topic          text NOT NULL,
    topic_id       text,
    partition      int4 NOT NULL CHECK (partition >= 0),
    "offset"       int8 NOT NULL CHECK ("offset" >= 0),
    reason         text NOT NULL,
    message        bytea NOT NULL,
    quarantined_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS quarantine_market_id_idx ON quarantine (market_id, partition, "offset");
COMMENT ON TABLE quarantine IS 'Messages that pseudofeed store could not read. Each came here in the transaction that moved its partition''s offset past it; rows may be deleted once they were looked at.';
COMMENT ON COLUMN quarantine.topic_id IS 'Kafka''s id of the topic, as in sink_offset';
COMMENT ON COLUMN quarantine."offset" IS 'The message''s offset in its partition';
COMMENT ON COLUMN quarantine.reason IS 'What is wrong with it';
COMMENT ON COLUMN quarantine.message IS 'Its bytes, as they came; empty where the message had no value';
COMMENT ON COLUMN quarantine.quarantined_at IS 'When it came here, by the server''s clock';
