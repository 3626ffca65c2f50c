"""A market simulated straight into the store, without Kafka: run.py; who may write which steps: claims.py."""
