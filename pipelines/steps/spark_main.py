"""What ``spark-submit`` runs: it takes no zip, so the steps come to it with ``--py-files``."""

from __future__ import annotations

import sys

from pipelines.steps.profile_spark import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
