"""``python -m benchmarks.detection --spec model.yaml --data FILE.csv --out FILE.json``; see benchmarks/README.md."""

from __future__ import annotations

import os
import sys

# Small fits gain nothing from threads, and lose much to them where the machine has other work. Read on import.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from benchmarks.detection.cli import main

if __name__ == "__main__":
    sys.exit(main())
