"""The history of every tick, in PostgreSQL or TimescaleDB.

schema.py applies sql/. registry.py registers markets. chunks.py creates chunks ahead of the rows. sink.py writes
records and offsets in one transaction. order.py checks that none is lost or duplicate. quarantine.py keeps unreadable
messages. upkeep.py drops old chunks, and forget.py removes a whole market. worker.py runs all of this on
a market's topics. backfill/ needs no topics: claims.py claims steps, rows.py simulates them, writer.py commits and
marks them. history.py reads records back as arrays. docs/store.md describes the tables.
"""
