"""A container as a local process: the same entry point and arguments, with ``/opt/ml`` in a folder of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from driftloop.twin.errors import unsupported

_OPT_ML = re.compile(r"(?<![\w.-])/opt/ml(?![\w.-])")
"""The container's folder, but not a part of a longer path or of an S3 URI."""
_TAIL_LINES = 12


def check_image(image: str) -> None:
    """Raise ApiError unless this environment is what the image holds."""
    tag = image.rpartition(":")[2]
    installed = ".".join(version("scikit-learn").split(".")[:2])
    if "sagemaker-scikit-learn:" not in image or not tag.startswith(f"{installed}-"):
        raise unsupported(f"the image {image}; it runs sagemaker-scikit-learn:{installed}-* as local processes")


class Container:
    """One process, started at once, with its output in a log file."""

    def __init__(self, root: Path, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._log = log
        argv = [self._local(root, argument) for argument in arguments]
        if argv[0] in ("python3", "python"):
            argv[0] = sys.executable
        clean = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TZ": "UTC", "HOME": str(root), "PYTHONUNBUFFERED": "1"}
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                argv, cwd=root, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True,
                env=clean | {key: self._local(root, value) for key, value in environment.items()},
            )  # fmt: skip
        with _LOCK:
            _RUNNING.add(self.process)

    def wait(self, seconds: float) -> int:
        """Exit status; a container that outlives its time is killed and gives -9."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return self.process.wait()
        finally:
            with _LOCK:
                _RUNNING.discard(self.process)

    def kill(self) -> None:
        """End the container and what it started."""
        _kill(self.process)

    def tail(self) -> str:
        """The last lines of its output."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])

    @staticmethod
    def _local(root: Path, text: str) -> str:
        return _OPT_ML.sub(str(root), text)


def kill_all() -> None:
    """End every container that still runs."""
    with _LOCK:
        running = list(_RUNNING)
    for process in running:
        _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


_RUNNING: set[subprocess.Popen[bytes]] = set()
_LOCK = threading.Lock()
