"""Where results go."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def publish(result: dict[str, Any], out: Path | None) -> None:
    """Print a result as JSON and, if a file is named, write it there, too."""
    text = json.dumps(result, indent=2) + "\n"
    sys.stdout.write(text)
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
