"""Files of ticks: CSV for a look, Parquet for tools. Each takes blocks as they come, so any length fits in memory, and
appears in its place when it is complete, or not at all."""
