"""PSEUDOFEED_SOAK: how many times as long a run is as one in CI."""

import os

SOAK = int(os.environ.get("PSEUDOFEED_SOAK") or 1)
