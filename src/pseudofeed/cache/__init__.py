"""The newest quote of every instrument, in Redis.

worker.py keeps them up to date, through quote.lua; quotes.py holds them, reader.py reads them, keys.py names them.
"""
