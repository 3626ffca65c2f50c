"""Benchmarks compare in one run: the machine's mood is in both numbers, so the ratio is what counts."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
