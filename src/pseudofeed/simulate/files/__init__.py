"""Files of ticks: CSV for people, Parquet for tools. Each is written block by block, so any length fits in memory. A
file appears when it is complete, or not at all."""
