"""The history of every tick, in PostgreSQL or TimescaleDB.

schema.py applies sql/, registry.py knows the markets, chunks.py makes the tables' chunks ahead, sink.py writes ticks or
factors (series.py) and offsets in one transaction, order.py checks that none is lost or repeated, quarantine.py keeps
what cannot be read, upkeep.py drops and compresses what is old, forget.py a whole market; worker.py runs it all on a
market's topics. backfill/ does without them: claims.py claims steps, rows.py simulates them, writer.py commits and
marks them. history.py reads ticks back as arrays. docs/store.md shows the tables.
"""
