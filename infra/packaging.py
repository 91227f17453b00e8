"""Assemble what is deployed: ``python -m infra.packaging [--platform lambda|host]``.

One folder for all functions, one for the steps of pipelines. Deterministic, so their hashes are too; what is up to
date is not built again.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from infra import native

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"
LIBRARY = ROOT / "src" / "driftloop"
LOCK = ROOT / "locks" / "functions.txt"
# What the handlers import, and what the steps import.
FUNCTION_PARTS = (
    "__init__.py", "names.py", "ports.py", "data", "monitoring", "native", "promotion", "retraining", "loop", "aws",
)  # fmt: skip
STEP_PARTS = (
    "__init__.py", "names.py", "ports.py", "data", "monitoring", "promotion", "retraining", "loop",
    "aws/__init__.py", "aws/objects.py", "aws/captures.py",
)  # fmt: skip
"""Of the adapters only those that need no more than the images have."""
UNPUBLISHED = ["**/__pycache__/**"]
"""What running a build leaves in it; it must not change the hash."""
# The Lambda runtime brings these itself.
PROVIDED = frozenset({"boto3", "botocore", "s3transfer", "jmespath", "python-dateutil", "six", "urllib3"})
PLATFORMS = {
    "lambda": ["--python-platform", "aarch64-manylinux_2_28", "--python-version", "3.13"],
    "host": ["--python", sys.executable],
}
_UNNEEDED = ("**/__pycache__", "numpy/**/tests", "**/*.pyi", "bin", "*.dist-info/uv_*.json")
_UNSTABLE = ("*.dist-info/RECORD", "*.dist-info/INSTALLER", "*.dist-info/REQUESTED", "*.dist-info/direct_url.json")


def functions_folder(platform: str) -> Path:
    """Where the functions for ``lambda`` or ``host`` are built."""
    return BUILD / "functions" / platform


def steps_folder() -> Path:
    """Where the steps are built."""
    return BUILD / "steps"


def package_functions(platform: str) -> Path:
    """Build the functions: dependencies from the lock file, the library and the handlers."""
    parts = [LIBRARY / part for part in FUNCTION_PARTS]

    def fill(staging: Path) -> None:
        _install(platform, staging)
        for part in parts:
            _copy(part, staging / "driftloop" / part.name)
        _copy(ROOT / "functions", staging / "functions")
        native.build_library(platform, staging / "driftloop" / "native")

    settings = " ".join((*PLATFORMS[platform], sys.version if platform == "host" else "", version("ziglang")))
    inputs = [LOCK, ROOT / "functions", Path(native.__file__), *parts]
    return _build(functions_folder(platform), fill, inputs, settings)


def package_steps() -> Path:
    """Build the steps: CDK makes one zip of the folder, which Python runs as it is."""
    parts = [LIBRARY / part for part in STEP_PARTS]
    pipelines = ROOT / "pipelines"
    sources = [pipelines / "__init__.py", pipelines / "steps"]

    def fill(staging: Path) -> None:
        for part in parts:
            _copy(part, staging / "driftloop" / part.relative_to(LIBRARY))
        for source in sources:
            _copy(source, staging / "pipelines" / source.name)
        _copy(pipelines / "steps" / "__main__.py", staging / "__main__.py")

    return _build(steps_folder(), fill, [*parts, *sources])


def main(arguments: list[str] | None = None) -> int:
    """Build everything that the app publishes."""
    parser = argparse.ArgumentParser(prog="python -m infra.packaging", description=__doc__)
    parser.add_argument("--platform", choices=PLATFORMS, default="lambda", help="where the functions will run")
    options = parser.parse_args(arguments)
    package_functions(options.platform)
    package_steps()
    return 0


def _build(target: Path, fill: Callable[[Path], object], inputs: list[Path], settings: str = "") -> Path:
    """Fill a new folder and put it in the target's place, unless the inputs are those of the last time."""
    stamp = target.with_name(f".{target.name}.stamp")
    state = _state([Path(__file__), *inputs], settings)
    with _alone(target.with_name(f".{target.name}.lock")):
        if target.is_dir() and stamp.is_file() and stamp.read_text(encoding="utf-8") == state:
            return target
        staging = target.with_name(f".{target.name}.new")
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        fill(staging)
        _strip(staging)
        stamp.unlink(missing_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        staging.rename(target)
        stamp.write_text(state, encoding="utf-8")
    return target


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _state(inputs: list[Path], settings: str) -> str:
    digest = hashlib.sha256(settings.encode())
    for source in inputs:
        for path in sorted(_files(source)):
            digest.update(f"{path.relative_to(ROOT)}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    return [
        path
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and ".so" not in path.suffixes
    ]


def _install(platform: str, target: Path) -> None:
    requirements = target.with_suffix(".txt")
    requirements.write_text(_without_provided(LOCK.read_text(encoding="utf-8")), encoding="utf-8")
    subprocess.run(
        [
            _uv(), "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:",
            "--link-mode", "copy", "--target", str(target), *PLATFORMS[platform], "--requirements", str(requirements),
        ],
        check=True,
    )  # fmt: skip
    requirements.unlink()


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
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc", "*.so", "*.so.sha256"))
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


if __name__ == "__main__":
    sys.exit(main())
