"""Running stages: how one is told to stop, and who starts it again."""
