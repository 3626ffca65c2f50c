"""From tick blocks to a Kafka topic: the native producer, the topics, the market records, the feed."""
