"""What serves one version: its process, started again when it dies, as SageMaker replaces a container."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from driftloop.data.archives import ArchiveError, extract_archive
from driftloop.twin.activity import Activity
from driftloop.twin.containers import check_image
from driftloop.twin.errors import ApiError, invalid
from driftloop.twin.jobs import Platform
from driftloop.twin.model_process import PATIENCE, ModelServer, Reply

ASYNCHRONOUS_PATIENCE = 900.0
"""SageMaker's InvocationTimeoutSeconds of asynchronous requests, unless it is given."""
RESTARTS = 5
"""How often in a row a process is started again without having answered a request."""


@dataclass(frozen=True)
class Version:
    """What an endpoint configuration and its model say."""

    config: str
    variant: str
    capture: Mapping[str, Any]
    role_arn: str
    container: Mapping[str, Any]
    serverless: Mapping[str, Any] | None = None
    """Size of a serverless variant; None for one on instances."""
    asynchronous: Mapping[str, Any] | None = None
    """AsyncInferenceConfig of an endpoint whose requests wait in S3; None for others."""
    weight: float = 1.0
    instances: int = 0
    """How many instances were asked for; none for a serverless variant."""

    @property
    def concurrency(self) -> int:
        """Requests at a time that it takes; 0 for as many as there are."""
        return self.serverless["MaxConcurrency"] if self.serverless else 0


class Fleet:
    """One version in service."""

    def __init__(self, version: Version, launch: Callable[[Version], ModelServer], activity: Activity) -> None:
        self.version = version
        self._launch, self._activity = launch, activity
        self._lock = threading.Lock()
        self._server: ModelServer | None = None
        self._deaths = self._asked = 0
        self._over = False

    @property
    def is_given_up(self) -> bool:
        """True if its process is not started again any more."""
        return self._deaths > RESTARTS

    def __getstate__(self) -> dict[str, Any]:
        """A picture of the twin holds no process; ``revived`` starts another one."""
        return {"version": self.version}

    def revived(self, launch: Callable[[Version], ModelServer], activity: Activity) -> Fleet:
        """The same version with a process that is just being started."""
        fleet = Fleet(self.version, launch, activity)
        fleet.revive()
        return fleet

    def revive(self) -> None:
        """Start the process without waiting for it."""
        self._activity.spawn(f"revive-{self.version.config}", self._start_again)

    def start(self) -> None:
        """Start the process and wait until it answers. Raises ApiError."""
        self._start()

    def _start(self) -> None:
        server = self._launch(self.version)
        with self._lock:
            self._server = server
            over = self._over
        if over:
            server.stop()
        else:
            threading.Thread(target=self._watch, args=(server,), daemon=True).start()

    def invoke(self, content_type: str, accept: str, body: bytes) -> Reply:
        """One request. Raises ApiError if there is no process or if it dies."""
        server = self._server
        if server is None:
            reason = f"died {self._deaths} times in a row" if self.is_given_up else "is being started again"
            raise ApiError("ServiceUnavailable", f"the container {reason}", 503)
        with self._lock:
            if 0 < self.version.concurrency <= self._asked:
                raise ApiError("ThrottlingException", f"{self._asked} requests at a time are its limit", 429)
            self._asked += 1
        try:
            reply = server.invoke(content_type, accept, body)
        finally:
            with self._lock:
                self._asked -= 1
        self._deaths = 0
        return reply

    def stop(self) -> None:
        """End the process for good."""
        with self._lock:
            self._over, server = True, self._server
        if server:
            server.stop()

    def _watch(self, server: ModelServer) -> None:
        server.wait()
        with self._lock:
            if self._over:
                return
            self._server = None
            self._deaths += 1
            self._activity.spawn(f"restart-{self.version.config}", lambda: self._replace(server))

    def _replace(self, dead: ModelServer) -> None:
        dead.stop()
        self._start_again()

    def _start_again(self) -> None:
        while self._deaths <= RESTARTS and not self._over:
            try:
                self._start()
                return
            except Exception:
                self._deaths += 1


def launch(platform: Platform, version: Version) -> ModelServer:
    """Start the process of a version and wait until it answers. Raises ApiError."""
    patience = ASYNCHRONOUS_PATIENCE if version.asynchronous else PATIENCE
    return serve(platform, version.role_arn, version.container, patience)


def serve(platform: Platform, role_arn: str, container: Mapping[str, Any], patience: float = PATIENCE) -> ModelServer:
    """Start the process of a model's container and wait until it answers. Raises ApiError.

    ``patience`` is for how many seconds it may work on a request.
    """
    check_image(container["Image"])
    archive = platform.store(role_arn, "SageMaker").read(container["ModelDataUrl"])
    folder = Path(tempfile.mkdtemp(prefix="e-", dir=platform.folder / "endpoints"))
    try:
        extract_archive(archive, folder / "model")
    except ArchiveError as error:
        shutil.rmtree(folder)
        raise invalid(f"{container['ModelDataUrl']} is not an archive of a model: {error}") from error
    access = platform.environment(role_arn, "SageMaker")
    base = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TZ": "UTC", "OMP_NUM_THREADS": "1"}
    settings = {
        k: v.replace("/opt/ml/model", str(folder / "model")) for k, v in container.get("Environment", {}).items()
    }
    server = ModelServer(folder, base | access | settings, patience)
    try:
        server.wait_ready()
    except ApiError:
        server.stop()
        raise
    return server
