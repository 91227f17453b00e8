"""A container as a local process: the same entry point and arguments, with ``/opt/ml`` in a folder of its own."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from driftloop.twin.errors import unsupported

_OPT_ML = re.compile(r"(?<![\w.-])/opt/ml(?![\w.-])")
"""The container's folder, but not a part of a longer path or of an S3 URI."""
_TAIL_LINES = 12
_KILL_SECONDS = 10
_HOST = Path(__file__).with_name("container_host.py")
_LIBRARIES = {"sagemaker-scikit-learn": ("scikit-learn",), "sagemaker-xgboost": ("xgboost-cpu", "xgboost")}
"""Repository of an image -> the distributions of its library, any of which will do."""


def check_image(image: str) -> None:
    """Raise ApiError unless this environment has the library of the image, in its version."""
    known = {repository: f"{found}-" for repository, names in _LIBRARIES.items() if (found := _installed(names))}
    name, _, tag = image.rpartition("/")[2].partition(":")
    if name not in known or not tag.startswith(known[name]):
        able = " and ".join(f"{repository}:{start}*" for repository, start in known.items())
        raise unsupported(f"the image {image}; it runs {able} as local processes")


def _installed(distributions: Iterable[str]) -> str | None:
    """Major and minor version of the first that is there."""
    for name in distributions:
        with contextlib.suppress(PackageNotFoundError):
            return ".".join(version(name).split(".")[:2])
    return None


class Host:
    """The process that containers are forked from."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(_HOST)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            # OpenMP reads it when it is loaded: threads that wait for one that the machine does not run fit five times
            # slower than one thread alone.
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )  # fmt: skip
        self._changed = threading.Condition()
        self._pids: dict[int, int] = {}
        self._ends: dict[int, int] = {}
        self._numbers = itertools.count()
        threading.Thread(target=self._listen, daemon=True, name="containers").start()

    def start(self, arguments: Sequence[str], cwd: Path, environment: Mapping[str, str], log: Path) -> int:
        """Fork a container; its process id."""
        number = next(self._numbers)
        request = {
            "number": number, "arguments": list(arguments), "cwd": str(cwd), "environment": dict(environment), "log": str(log),
        }  # fmt: skip
        with self._changed:
            assert self._process.stdin is not None  # noqa: S101 - a pipe was asked for
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            self._changed.wait_for(lambda: number in self._pids or self._process.poll() is not None)
            if number not in self._pids:
                raise RuntimeError("the process that containers are forked from has ended")
            return self._pids[number]

    def wait(self, pid: int, seconds: float) -> int | None:
        """Exit status, negative for a signal; None if it runs longer than that."""
        with self._changed:
            self._changed.wait_for(lambda: pid in self._ends or self._process.poll() is not None, seconds)
            return self._ends.get(pid, -signal.SIGKILL if self._process.poll() is not None else None)

    def stop(self) -> None:
        """End the process; its containers are ended one by one before."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - a pipe was asked for
        with self._process.stdout as lines:
            self._take(lines)
        with self._changed:
            self._changed.notify_all()

    def _take(self, lines: Iterable[str]) -> None:
        for line in lines:
            told = json.loads(line)
            with self._changed:
                if "started" in told:
                    self._pids[told["started"]] = told["pid"]
                    # The system gives numbers of processes again.
                    self._ends.pop(told["pid"], None)
                else:
                    self._ends[told["pid"]] = told["status"]
                self._changed.notify_all()


class Container:
    """One process, started at once, with its output in a log file."""

    def __init__(self, root: Path, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._log = log
        program, *rest = [self._local(root, argument) for argument in arguments]
        if program not in ("python3", "python") or not rest or rest[0].startswith("-"):
            shown = " ".join([program, *rest[:1]])
            raise unsupported(f"the entry point {shown}; containers run python3 with a program file")
        clean = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TZ": "UTC", "HOME": str(root), "PYTHONUNBUFFERED": "1"}
        local = {key: self._local(root, value) for key, value in environment.items()}
        log.unlink(missing_ok=True)
        self.pid = host().start(rest, root, clean | local, log)
        with _LOCK:
            _RUNNING.add(self.pid)

    def wait(self, seconds: float) -> int:
        """Exit status; a container that outlives its time is killed and gives -9."""
        try:
            status = host().wait(self.pid, seconds)
            if status is None:
                self.kill()
                status = host().wait(self.pid, _KILL_SECONDS)
            return -signal.SIGKILL if status is None else status
        finally:
            with _LOCK:
                _RUNNING.discard(self.pid)

    def kill(self) -> None:
        """End the container and what it started."""
        _kill(self.pid)

    def tail(self) -> str:
        """The last lines of its output."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])

    @staticmethod
    def _local(root: Path, text: str) -> str:
        return _OPT_ML.sub(str(root), text)


@cache
def host() -> Host:
    """The process that containers are forked from, started when it is first needed."""
    return Host()


def kill_all() -> None:
    """End every container that still runs, and their host."""
    with _LOCK:
        running = list(_RUNNING)
    for pid in running:
        _kill(pid)
    if host.cache_info().currsize:
        host().stop()


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


_RUNNING: set[int] = set()
_LOCK = threading.Lock()
