"""Publishes blocks to Kafka: the native producer, resuming, pacing, and the feed."""
