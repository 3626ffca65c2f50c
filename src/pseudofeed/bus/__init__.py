"""Kafka itself: clients, topics, the registry of markets, a reader that joins no group."""
