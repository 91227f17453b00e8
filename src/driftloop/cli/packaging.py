"""Assemble what is deployed: one directory for all functions, per platform. Deterministic, so its hash is too."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
BUILD = ROOT / "build"
LIBRARY = ("__init__.py", "names.py", "ports.py", "data", "monitoring", "retraining", "promotion", "loop", "aws")
# The Lambda runtime brings these itself.
PROVIDED = frozenset({"boto3", "botocore", "s3transfer", "jmespath", "python-dateutil", "six", "urllib3"})
TARGETS = {
    "lambda": ["--python-platform", "aarch64-manylinux_2_28", "--python-version", "3.13"],
    "host": ["--python", sys.executable],
}
_UNNEEDED = ("**/__pycache__", "numpy/**/tests", "**/*.pyi", "bin", "*.dist-info/uv_*.json")
_UNSTABLE = ("*.dist-info/RECORD", "*.dist-info/INSTALLER", "*.dist-info/REQUESTED", "*.dist-info/direct_url.json")


def package_functions(platform: str) -> Path:
    """Build ``build/functions/<platform>``: dependencies from the lock file, the library and the handlers."""
    target = BUILD / "functions" / platform
    staging = target.with_name(f".{platform}.new")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    requirements = staging.with_suffix(".txt")
    requirements.write_text(_without_provided((ROOT / "locks" / "functions.txt").read_text()))
    subprocess.run(
        [
            _uv(), "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:",
            "--link-mode", "copy", "--target", str(staging), *TARGETS[platform], "--requirements", str(requirements),
        ],
        check=True,
    )  # fmt: skip
    requirements.unlink()
    for name in LIBRARY:
        _copy(ROOT / "src" / "driftloop" / name, staging / "driftloop" / name)
    _copy(ROOT / "functions", staging / "functions")
    _strip(staging)
    shutil.rmtree(target, ignore_errors=True)
    staging.rename(target)
    return target


def _uv() -> str:
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.exists() else "uv"


def _without_provided(lock: str) -> str:
    """Drop the lock entries of packages that the runtime provides (an entry is a line and its hash lines)."""
    kept, keep = [], True
    for line in lock.splitlines():
        if not line.startswith(" "):
            keep = line.split("==")[0].strip() not in PROVIDED
        if keep:
            kept.append(line)
    return "\n".join(kept) + "\n"


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def _strip(folder: Path) -> None:
    for pattern in (*_UNNEEDED, *_UNSTABLE):
        for path in list(folder.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for path in folder.rglob("*"):
        # Modes and times are part of an archive; only content may decide its hash.
        path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
