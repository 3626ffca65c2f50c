"""The history of every tick, in PostgreSQL or TimescaleDB.

schema.py applies sql/, registry.py knows the markets, chunks.py makes the table's chunks ahead, sink.py writes ticks
and offsets in one transaction, worker.py runs it on a topic; history.py reads ticks back as arrays. docs/store.md
shows the tables.
"""
