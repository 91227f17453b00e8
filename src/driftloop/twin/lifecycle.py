"""Start, find and end twins. Each lives in a folder of its own, so several can run side by side."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from driftloop.twin import keeping

READY, LOG = "ready.json", "twin.log"
_BOOT_SECONDS = 60
_END_SECONDS = 15


class TwinError(Exception):
    """A twin that cannot be started, found or ended; the message says what to do."""


@dataclass(frozen=True)
class Twin:
    """A running twin."""

    folder: Path
    pid: int
    url: str
    account: str
    region: str
    access_key: str
    secret_key: str

    @classmethod
    def find(cls, folder: Path) -> Self | None:
        """The twin that runs in a folder, if any."""
        try:
            state = json.loads((folder / READY).read_text())
        except (FileNotFoundError, ValueError):
            return None
        return cls(folder, **state) if _is_ours(state["pid"], folder) else None

    def environment(self) -> dict[str, str]:
        """Variables through which boto3, the aws CLI and cdk reach the twin and nothing else."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "CDK_DEFAULT_ACCOUNT": self.account,
            "CDK_DEFAULT_REGION": self.region,
        }

    def door(self, path: str, **request: Any) -> Any:
        """Ask the twin itself: ``clock``, ``settle``, ``alarms``, ``status``. Raises TwinError."""
        try:
            status, content = self._ask(path, request)
        except (OSError, http.client.HTTPException) as error:
            raise TwinError(f"the twin in {self.folder} does not answer ({error}); see {self.folder / LOG}") from error
        if status != 200:
            raise TwinError(f"{path}: {content['error']}")
        return content

    def _ask(self, path: str, request: dict[str, Any]) -> tuple[int, Any]:
        connection = _door(urlsplit(self.url).netloc)
        used = connection.sock is not None
        try:
            connection.request("POST", f"/_driftloop/{path}", json.dumps(request))
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            # The twin closes connections that have not been used for a while.
            if not used or not isinstance(error, ConnectionError):
                raise
        return self._ask(path, request)

    def move_clock(self, moment: datetime) -> None:
        """Let virtual time pass, through everything that is due until then."""
        self.door("clock", to=moment.astimezone(UTC).isoformat())

    def stop(self) -> None:
        """End the twin and everything that it started, and remove its folder."""
        _door(urlsplit(self.url).netloc).close()
        _end(self.pid, self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)


def start(
    folder: Path, port: int = 0, begin: datetime | None = None, attached: bool = False, keep: bool = False
) -> Twin:
    """Start a twin. Raises TwinError.

    Args:
        begin: virtual time at which it starts; now by default.
        attached: it ends when this process ends, however that happens.
        keep: its state is kept in the folder, and if that of a killed twin is there, it goes on from it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _only_one(folder):
        return _start(folder, port, begin, attached, keep)


def is_kept(folder: Path) -> bool:
    """True if a folder holds the state of a twin that was killed."""
    return Twin.find(folder) is None and keeping.port_of(folder) is not None


def remove(folder: Path) -> None:
    """Remove what a killed twin has left. Raises TwinError if one runs or is being started there."""
    with _only_one(folder):
        if Twin.find(folder):
            raise TwinError(f"a twin runs in {folder}")
        shutil.rmtree(folder)


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    with folder.with_name(f".{folder.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TwinError(f"a twin is just being started in {folder}") from None
        yield


def _start(folder: Path, port: int, begin: datetime | None, attached: bool, keep: bool) -> Twin:
    if Twin.find(folder):
        raise TwinError(f"a twin runs in {folder} already; `driftloop down` ends it, `--name` starts another one")
    if keep and (known := keeping.port_of(folder)):
        # What is kept names the port: URLs of queues, for example.
        if begin or port not in (0, known):
            raise TwinError(
                f"{folder} holds the state of a twin that was killed; without --start and --port it goes on, "
                "`driftloop down` removes it"
            )
        port = known
        _forget()
        (folder / READY).unlink(missing_ok=True)
    else:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    command = [sys.executable, "-m", "driftloop.twin.server", str(folder), "--port", str(port)]
    command += ["--keep"] if keep else []
    if begin:
        command += ["--start", begin.isoformat()]
    environment = os.environ | ({"DRIFTLOOP_TWIN_ATTACHED": "1"} if attached else {})
    with (folder / LOG).open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE if attached else subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True, env=environment,
        )  # fmt: skip
    _STARTED.append(process)
    try:
        return _wait_ready(folder, process)
    except KeyboardInterrupt:
        process.kill()
        raise


@cache
def _door(address: str) -> http.client.HTTPConnection:
    """One connection that stays open; it is opened again by itself after an error."""
    return http.client.HTTPConnection(address, timeout=1800)


_STARTED: list[subprocess.Popen[bytes]] = []
"""Keeps the pipes of attached twins open, and lets the system forget those that have ended."""


def _wait_ready(folder: Path, process: subprocess.Popen[bytes]) -> Twin:
    deadline = time.monotonic() + _BOOT_SECONDS
    while time.monotonic() < deadline:
        if twin := Twin.find(folder):
            return twin
        if process.poll() is not None:
            break
        time.sleep(0.05)
    said = (folder / LOG).read_text(errors="replace").strip().splitlines()[-8:]
    _end(process.pid, folder)
    raise TwinError("the twin did not start:\n  " + "\n  ".join(said))


def _is_ours(pid: int, folder: Path) -> bool:
    """True if the process with this id is the twin of this folder and not another one that got the number later."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return False
    return "driftloop.twin.server" in command and str(folder) in command


def _end(pid: int, folder: Path) -> None:
    for number, seconds in ((signal.SIGTERM, _END_SECONDS), (signal.SIGKILL, 5)):
        if not _is_ours(pid, folder):
            break
        os.kill(pid, number)
        deadline = time.monotonic() + seconds
        while _is_ours(pid, folder) and time.monotonic() < deadline:
            time.sleep(0.05)
    _forget(pid)


def _forget(pid: int = 0) -> None:
    """Let the system forget this process and those that have ended."""
    for process in [started for started in _STARTED if started.pid == pid or started.poll() is not None]:
        _STARTED.remove(process)
        process.wait()
        if process.stdin:
            process.stdin.close()
