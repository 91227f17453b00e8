"""The process that serves one version, and how the twin talks to it."""

from __future__ import annotations

import queue
import shutil
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from driftloop.twin.errors import ApiError

PATIENCE = 60.0
"""For how many seconds a model may work on a request."""
_START_SECONDS = 60
_SERVER = Path(__file__).with_name("model_server.py")


@dataclass(frozen=True)
class Reply:
    """Answer of a model."""

    status: int
    content_type: str
    body: bytes


class ModelServer:
    """The process that serves one version."""

    def __init__(self, folder: Path, environment: Mapping[str, str], patience: float = PATIENCE) -> None:
        self._port, self._patience = 0, patience
        self._idle: queue.SimpleQueue[IO[bytes]] = queue.SimpleQueue()
        self._folder = folder
        self._log = (folder / "server.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_SERVER), str(folder / "model")],
            cwd=folder, env=dict(environment), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
        )  # fmt: skip

    def wait_ready(self) -> None:
        """Wait for the model to be loaded. Raises ApiError with what the process said if it is not."""
        assert self._process.stdout  # noqa: S101 - a pipe was asked for
        timer = threading.Timer(_START_SECONDS, self._process.kill)
        timer.start()
        line = self._process.stdout.readline()
        timer.cancel()
        if not line.startswith(b"ready "):
            said = (self._folder / "server.log").read_text(errors="replace").strip().splitlines()
            reason = " ".join(said[-3:])[:800]
            raise ApiError("AlgorithmError", f"the container did not pass the ping health check: {reason}")
        self._port = int(line.split()[1])

    def invoke(self, content_type: str, accept: str, body: bytes) -> Reply:
        """One request. Raises ApiError if the process has died."""
        try:
            try:
                stream = self._idle.get_nowait()
            except queue.Empty:
                connection = socket.create_connection(("127.0.0.1", self._port), timeout=self._patience)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                stream = cast("IO[bytes]", connection.makefile("rwb"))
            for part in (content_type.encode(), accept.encode(), body):
                stream.write(struct.pack("!I", len(part)) + part)
            stream.flush()
            status, kind, content = (_receive(stream) for _ in range(3))
        except (OSError, EOFError) as error:
            raise ApiError("ModelError", f"the container does not answer: {error}", 424) from error
        self._idle.put(stream)
        return Reply(int(status), kind.decode(), content)

    def wait(self) -> None:
        """Wait for the process to end."""
        self._process.wait()

    def stop(self) -> None:
        """End the process and remove its files."""
        self._process.kill()
        self._process.wait()
        self._log.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _receive(stream: IO[bytes]) -> bytes:
    head = stream.read(4)
    if len(head) < 4:
        raise EOFError("connection closed")
    return stream.read(struct.unpack("!I", head)[0])
