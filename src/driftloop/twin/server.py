"""The twin's process: ``python -m driftloop.twin.server FOLDER`` (started by ``driftloop up``)."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from driftloop.twin import containers
from driftloop.twin.activity import Activity
from driftloop.twin.clock import VirtualClock
from driftloop.twin.emulators import configuration
from driftloop.twin.hosting import Hosting, World
from driftloop.twin.jobs import Jobs, Platform
from driftloop.twin.keeping import Keeper, KeepingError
from driftloop.twin.pipelines import Pipelines
from driftloop.twin.sagemaker import ControlPlane
from driftloop.twin.scaling import ScalingPlane
from driftloop.twin.timeline import Timeline
from driftloop.twin.transforms import Transforms

ACCOUNT, REGION = "123456789012", "us-east-1"
READY = "ready.json"
_TICK_SECONDS = 1.0


class Twin:
    """Everything that runs in the process."""

    def __init__(self, folder: Path, port: int, start: datetime, keep: bool = False) -> None:
        # The emulators read their settings when they are imported.
        configuration.configure(port, ACCOUNT, REGION, folder)
        from driftloop.twin.emulators import (  # noqa: PLC0415
            asynchronous,
            events,
            functions,
            gateway,
            identity,
            monitoring,
            objects,
            registry,
            state,
            templates,
        )

        self._functions, self._gateway, self._monitoring = functions, gateway, monitoring
        url = f"http://127.0.0.1:{port}"
        self.activity = Activity()
        self.keeper = Keeper(folder, port, self.activity) if keep else None
        kept = self.keeper.load() if self.keeper else None
        self.clock = VirtualClock(folder / "clock", datetime.fromtimestamp(kept.now, UTC) if kept else start)
        self.timeline = Timeline(self.clock, self.is_idle)
        platform = Platform(url, REGION, ACCOUNT, folder, identity.role_session)
        records = registry.MotoRecords(ACCOUNT, REGION)
        pipelines, jobs = Pipelines(platform, self.activity, events.put), Jobs(platform, self.activity)
        self.hosting = Hosting(
            World(
                platform, self.activity, self.timeline, records.call, events.put, monitoring.put_metric,
                monitoring.alarm_state, objects.exists, self.keeper.note if self.keeper else lambda _: None,
            )
        )  # fmt: skip
        self.transforms = Transforms(platform, self.activity, records.call, events.put)
        plane = ControlPlane(
            platform, records, jobs, self.transforms, pipelines, self.hosting, events.put, identity.may_pass, identity.caller
        )  # fmt: skip
        invocations = asynchronous.Asynchronous(self.activity, self.timeline)
        invocations.install()
        identity.install()
        objects.install(self.keeper.body if self.keeper else None)
        events.install()
        monitoring.install()
        self._resumed: list[Callable[[], None]] = []
        if self.keeper:
            self.keeper.parts = {
                "emulators": state.save, "records": records.save, "alarms": lambda: monitoring.TRANSITIONS,
                "jobs": jobs.save, "transforms": self.transforms.save, "endpoints": self.hosting.save,
                "invocations": invocations.save, "executions": pipelines.save,
            }  # fmt: skip
        if kept:
            state.load(kept.states["emulators"])
            records.load(kept.states["records"])
            monitoring.TRANSITIONS.extend(kept.states["alarms"])
            self._resumed = [
                partial(jobs.resume, kept.states["jobs"]),
                partial(self.transforms.resume, kept.states["transforms"]),
                partial(self.hosting.resume, kept.states["endpoints"], kept.notes),
                partial(invocations.resume, kept.states["invocations"]),
                partial(pipelines.resume, kept.states["executions"]),
                monitoring.evaluate_all,
            ]
        monitoring.on_transition(self.hosting.alarm_changed)
        functions.install(folder, self.clock.path, url, self.activity, monitoring.take_log)
        templates.install(lambda operation, request: plane.call(operation, request, configuration.ACCESS_KEY))
        gateway.route_sagemaker(plane.call, self.hosting.invoke, self.hosting.invoke_async)
        describe = partial(plane.call, access_key=configuration.ACCESS_KEY)
        gateway.route_scaling(ScalingPlane(records.scale, describe).call)
        containers.host()
        self.timeline.add_sources(events.Schedules(), monitoring.Alarms(), _Redeliveries(functions.next_visible))
        self.timeline.hasten, self.timeline.relax = functions.PACE.hasten, functions.PACE.relax
        self.timeline.skipped = functions.time_skipped
        self._doors = {"clock": self._move, "settle": self._settle, "alarms": self._alarms, "status": self._status}

    def resume(self) -> None:
        """Go on where a twin was killed, if one was. It can be called by now."""
        for resume in self._resumed:
            resume()

    def is_idle(self) -> bool:
        """True if nothing that was set off is still under way."""
        begun = self.activity.begun
        # Work may pass from one place to the next while they are looked at one after the other.
        return self.activity.running == 0 and bool(self._functions.is_idle()) and self.activity.begun == begun

    def door(self, path: str, request: Mapping[str, Any]) -> Any:
        """What ``driftloop`` asks of its own twin. Raises KeyError for an unknown path."""
        return self._doors[path](request)

    def tick(self) -> None:
        """Run schedules and alarms in real time while nobody moves the clock."""
        while True:
            time.sleep(_TICK_SECONDS)
            try:
                self.timeline.tick()
            except Exception:
                # What the twin cannot do is said each second, rather than once and then never again.
                logging.getLogger(__name__).exception("schedules and alarms could not be run")

    def serve(self, listener: socket.socket, on_ready: Callable[[], None], on_late: Callable[[], None]) -> None:
        """Answer requests until the process is told to end; ``on_late`` is called when that takes too long."""
        self._gateway.serve(listener, self.door, self.keeper, self.resume, on_ready, on_late)

    def stop(self) -> None:
        """End every process that was started."""
        containers.kill_all()
        self.hosting.stop()
        self.transforms.end_all()
        self._functions.kill_workers()

    def _move(self, request: Mapping[str, Any]) -> Any:
        # What shadow variants answer belongs to the time at which it was asked.
        self.hosting.wait_for_shadows()
        self.timeline.advance(datetime.fromisoformat(request["to"]).timestamp())
        return self._status({})

    def _settle(self, _: Mapping[str, Any]) -> Any:
        # Shadow variants answer after their clients have been, and their answers are captured, too.
        self.hosting.wait_for_shadows()
        self.hosting.write_captures()
        self.timeline.settle()
        return self._status({})

    def _alarms(self, _: Mapping[str, Any]) -> Any:
        return self._monitoring.TRANSITIONS

    def _status(self, _: Mapping[str, Any]) -> Any:
        now = datetime.fromtimestamp(self.clock.now(), UTC)
        return {"now": now.strftime("%Y-%m-%dT%H:%M:%SZ"), "running": self.activity.running}


class _Redeliveries:
    """Messages that come back to their queue, as a source of the timeline."""

    def __init__(self, next_visible: Any) -> None:
        self.next_due = next_visible

    def run_due(self) -> None:
        """The timeline wakes the queues after every step."""


def main() -> None:
    """Run a twin until it is told to end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--start", type=datetime.fromisoformat, default=None)
    parser.add_argument(
        "--keep", action="store_true", help="keep the state in the folder, and go on with what is there"
    )
    arguments = parser.parse_args()
    # With the protocol named, asyncio turns off Nagle's algorithm on what it accepts; each answer would wait 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", arguments.port))
    except OSError as error:
        sys.exit(f"port {arguments.port} cannot be used: {error.strerror}; leave --port out to get a free one")
    port = listener.getsockname()[1]
    try:
        twin = Twin(arguments.folder, port, arguments.start or datetime.now(UTC), arguments.keep)
    except KeepingError as error:
        sys.exit(str(error))
    _end_with_parent(twin)

    def ready() -> None:
        threading.Thread(target=twin.tick, daemon=True, name="ticks").start()
        state = {"pid": os.getpid(), "url": f"http://127.0.0.1:{port}", "account": ACCOUNT, "region": REGION,
                 "access_key": configuration.ACCESS_KEY, "secret_key": configuration.SECRET_KEY}  # fmt: skip
        fresh = arguments.folder / f"{READY}.new"
        fresh.write_text(json.dumps(state))
        fresh.replace(arguments.folder / READY)

    def end() -> None:
        try:
            twin.stop()
            (arguments.folder / READY).unlink(missing_ok=True)
        finally:
            # Threads of the emulators never end by themselves.
            os._exit(0)

    try:
        twin.serve(listener, ready, end)
    except BaseException:
        logging.getLogger(__name__).exception("the twin ends")
    end()


def _end_with_parent(twin: Twin) -> None:
    """If standard input is a pipe, its end means that whoever started the twin is gone."""
    if not os.environ.pop("DRIFTLOOP_TWIN_ATTACHED", ""):
        return

    def watch() -> None:
        sys.stdin.buffer.read()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True, name="parent").start()


if __name__ == "__main__":
    main()
