"""The zip that the pipeline's jobs run, put together as it is for deployment."""

from __future__ import annotations

import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
LIBRARY = ROOT / "src" / "driftloop"


def build_zip(target: Path) -> Path:
    """The dispatcher on top, the steps, and the parts of the library that they may import."""
    steps = ROOT / "pipelines" / "steps"
    files = {
        "__main__.py": steps / "__main__.py",
        "pipelines/__init__.py": ROOT / "pipelines" / "__init__.py",
        **{f"pipelines/steps/{path.name}": path for path in sorted(steps.glob("*.py"))},
        **{f"driftloop/{name}": LIBRARY / name for name in ("__init__.py", "names.py")},
        **{
            f"driftloop/{part}/{path.name}": path
            for part in ("data", "monitoring", "promotion")
            for path in sorted((LIBRARY / part).glob("*.py"))
        },
    }
    with zipfile.ZipFile(target, "w") as archive:
        for name, path in files.items():
            archive.write(path, name)
    return target
