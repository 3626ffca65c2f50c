"""Files of ticks: CSV for a look, Parquet for tools. Each takes blocks as they come, so any length fits in memory. The
files of a walk appear in their places when all of them are complete, or not at all."""
