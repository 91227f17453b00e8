"""Lambda in ministack: functions as packaged, in isolated interpreters that follow the virtual clock."""

from __future__ import annotations

import hashlib
import io
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ministack.core import concurrency, lambda_runtime
from ministack.services import lambda_svc, s3, sqs

from driftloop.twin.activity import WHOLE, Activity

END, REST = "\x1eEND", "\x1eREST"
"""Last lines of an invocation's output and of what follows its answer; lambda_worker.py writes them."""

LAMBDA_PROVIDES = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3")
_WORKER = Path(__file__).with_name("lambda_worker.py")
_END_PATIENCE_SECONDS = 5.0
_IDLE_SECONDS = 0.5


class FunctionWorker(lambda_runtime.Worker):
    """A function's process. Differs from ministack's: isolated interpreter, virtual clock, unpacked once per code."""

    folder: Path
    clock_path: Path
    endpoint: str
    on_log: Callable[[list[str]], None]
    activity: Activity

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._extended = False
        self._rests = threading.Event()
        self._rests.set()

    def invoke(self, *arguments: Any, **named: Any) -> Any:
        """Answer, once what the process did after its last answer is done."""
        self._rests.wait()
        return super().invoke(*arguments, **named)

    def _read_stderr(self) -> None:
        process, lines = self._proc, self._stderr_queue
        super()._read_stderr()
        if process is not None:
            process.wait()
        lines.put(REST)

    def _spawn(self) -> None:
        config = self.config
        runtime, layers = str(config.get("Runtime")), config.get("Layers")
        if layers or not runtime.startswith("python"):
            raise NotImplementedError(
                f"{config['FunctionName']}: the twin runs Python without layers, not {layers or runtime}"
            )
        module, _, handler = config["Handler"].rpartition(".")
        code = self._unpacked()
        variables = dict(config.get("Environment", {}).get("Variables", {}))
        environment = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            **variables,
            **lambda_runtime.execution_credentials(config),
            "AWS_REGION": os.environ["AWS_DEFAULT_REGION"],
            "AWS_DEFAULT_REGION": os.environ["AWS_DEFAULT_REGION"],
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_LAMBDA_FUNCTION_NAME": config["FunctionName"],
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.get("MemorySize", 128)),
            "AWS_LAMBDA_FUNCTION_VERSION": config.get("Version", "$LATEST"),
            "LAMBDA_TASK_ROOT": str(code),
            # Tracing stays on in the code; without the X-Ray daemon its segments go nowhere.
            "AWS_XRAY_CONTEXT_MISSING": "IGNORE_ERROR",
            "POWERTOOLS_TRACE_DISABLED": "true",
        }
        self._proc = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_WORKER), str(self.folder / "runtime"), str(self.clock_path)],
            cwd=code, env=environment, bufsize=1, encoding="utf-8", errors="replace",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self._stderr_queue: queue.Queue[str] = queue.Queue()
        self._stderr_thread = threading.Thread(target=self._read_stderr, daemon=True, name=f"stderr-{self.func_name}")
        self._stderr_thread.start()
        init = {
            "code_dir": str(code), "module": module.replace("/", "."), "handler": handler,
            "function_name": config["FunctionName"], "memory": config.get("MemorySize", 128),
            "arn": config.get("FunctionArn", ""),
        }  # fmt: skip
        assert self._proc.stdin is not None  # noqa: S101 - pipes were asked for
        assert self._proc.stdout is not None  # noqa: S101
        self._proc.stdin.write(json.dumps(init) + "\n")
        self._proc.stdin.flush()
        answer = json.loads(self._proc.stdout.readline() or '{"error": "the process ended at once"}')
        if answer.get("status") != "ready":
            raise RuntimeError(f"{config['FunctionName']} cannot be imported: {answer['error']}")
        self._extended = answer["extensions"]

    def _unpacked(self) -> Path:
        target = self.folder / "code" / hashlib.sha256(self.code_zip).hexdigest()[:24]
        with _UNPACKING:
            if not target.exists():
                fresh = target.with_suffix(".new")
                shutil.rmtree(fresh, ignore_errors=True)
                with zipfile.ZipFile(io.BytesIO(self.code_zip)) as archive:
                    archive.extractall(fresh)
                fresh.rename(target)
        return target

    def _drain_stderr(self) -> str:
        # Asked for when the process was ended after its time: what it had said before counts.
        if self._stderr_thread:
            self._stderr_thread.join(_END_PATIENCE_SECONDS)
        text = str(super()._drain_stderr())
        self.on_log(text.splitlines())
        return text

    def _drain_stderr_bounded(self, *_: float) -> str:
        # The worker closes each invocation's output with a line of its own: no need to guess when it is complete.
        lines: list[str] = []
        deadline = time.monotonic() + _END_PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                line = self._stderr_queue.get(timeout=0.2)
            except queue.Empty:
                if self._proc is None or self._proc.poll() is not None:
                    break
                continue
            if line == END:
                if self._extended:
                    self._rests.clear()
                    self.activity.spawn(f"after-{self.func_name}", partial(self._follow, self._stderr_queue))
                break
            if line != REST:
                lines.append(line)
        self.on_log(lines)
        return "\n".join(lines)

    def _follow(self, lines: queue.Queue[str]) -> None:
        """Hear what a process says after its answer, until it rests or ends."""
        self.on_log(list(iter(lines.get, REST)))
        self._rests.set()


_UNPACKING, _POLLING = threading.Lock(), threading.Lock()
_HANDLED: dict[int, list[dict[str, Any]]] = {}
"""Batches that functions are handling right now."""


def install(
    folder: Path, clock_path: Path, endpoint: str, activity: Activity, on_log: Callable[[list[str]], None]
) -> None:
    """Make ministack run functions this way, and count what it sets off in the background."""
    _link_runtime(folder / "runtime")
    (folder / "code").mkdir(parents=True, exist_ok=True)
    FunctionWorker.folder, FunctionWorker.clock_path, FunctionWorker.endpoint = folder, clock_path, endpoint
    FunctionWorker.on_log, FunctionWorker.activity = staticmethod(on_log), activity
    lambda_runtime.Worker = FunctionWorker
    _count(lambda_svc, "_execute_function", activity)
    # Notifications are sent from a thread per object; sent at once they stay in order and nobody has to wait for them.
    s3._fire_s3_event_async = _inline_notification
    lambda_svc._ensure_poller = lambda: None
    sqs._receive_messages_for_esm = _receive
    lambda_svc._run_sqs_batch = _remember(lambda_svc._run_sqs_batch)
    threading.Thread(target=_pump, args=(activity,), daemon=True, name="event-sources").start()


def is_idle() -> bool:
    """True if no event source has work that could be started now, and no batch is being handled."""
    if concurrency.esm_wake.is_set() or lambda_svc._esm_inflight:
        return False
    now = time.time()
    return not any(m["visible_at"] <= now for queue_ in _mapped_queues() for m in queue_["messages"])


def next_visible() -> float | None:
    """When the next message that failed comes back to its queue, if any."""
    now, handled = time.time(), {id(message) for batch in list(_HANDLED.values()) for message in batch}
    messages = (m for queue_ in _mapped_queues() for m in queue_["messages"])
    return min((m["visible_at"] for m in messages if m["visible_at"] > now and id(m) not in handled), default=None)


def time_skipped(seconds: float) -> None:
    """The clock was moved: a function that works at this moment did not work for all that time."""
    with _POLLING:
        for batch in list(_HANDLED.values()):
            for message in batch:
                message["visible_at"] += seconds


def wake() -> None:
    """Look at the queues now."""
    concurrency.esm_wake.set()


def kill_workers() -> None:
    """End all function processes."""
    lambda_runtime.kill_workers([w for entries in list(lambda_runtime._workers.values()) for w in entries])


def _mapped_queues() -> list[dict[str, Any]]:
    arns = {esm["EventSourceArn"] for _, _, esm in lambda_svc._iter_all_esms() if esm.get("Enabled", True)}
    return [q for q in list(sqs._queues._data.values()) if q["attributes"].get("QueueArn") in arns]


class Pace:
    """How eagerly consumers take messages.

    While the clock is moved fast, a few messages may gather before a function is started for them, as they would
    gather in AWS during the same real time. Nothing waits when somebody waits for the twin to come to rest, or when
    the clock is not being moved.
    """

    gather = 24
    lazy_seconds = 2.0

    def __init__(self) -> None:
        self._lazy_until = 0.0
        self._urgent = threading.Event()

    def hasten(self) -> None:
        """Take every message now."""
        self._urgent.set()
        wake()

    def relax(self) -> None:
        """Let messages gather for the next moments."""
        self._lazy_until = time.monotonic() + self.lazy_seconds
        self._urgent.clear()

    def is_time(self) -> bool:
        """True if messages should be taken now."""
        if self._urgent.is_set() or time.monotonic() > self._lazy_until:
            return True
        now = time.time()
        return any(sum(m["visible_at"] <= now for m in q["messages"]) >= self.gather for q in _mapped_queues())


PACE = Pace()


def _pump(activity: Activity) -> None:
    while True:
        concurrency.esm_wake.wait(_IDLE_SECONDS)
        with activity.work(), _POLLING:
            concurrency.esm_wake.clear()
            while PACE.is_time() and lambda_svc._poll_sqs():
                pass


def _receive(queue_url: str, batch_size: int) -> list[dict[str, Any]]:
    """Messages for one batch: as many as the mapping asks for, where ministack stops at ten."""
    with WHOLE, sqs._queues_lock:
        source = sqs._get_q(queue_url)
        sqs._expire_retained(source)
        sqs._dlq_sweep(source)
        visibility = int(source["attributes"].get("VisibilityTimeout", "30"))
        received: list[dict[str, Any]] = sqs._collect_msgs(source, batch_size, visibility)
        return received


def _remember(run: Callable[..., None]) -> Callable[..., None]:
    def remembered(esm: Any, function: Any, event: Any, batch: list[dict[str, Any]], *rest: Any) -> None:
        _HANDLED[id(batch)] = batch
        try:
            run(esm, function, event, batch, *rest)
        finally:
            del _HANDLED[id(batch)]

    return remembered


def _count(module: Any, name: str, activity: Activity) -> None:
    original = getattr(module, name)

    def counted(*args: Any, **kwargs: Any) -> Any:
        with activity.work():
            return original(*args, **kwargs)

    setattr(module, name, counted)


def _inline_notification(bucket: str, *args: Any, **kwargs: Any) -> None:
    if bucket in s3._bucket_notifications:
        s3._fire_s3_event(bucket, *args, **kwargs)


def _link_runtime(folder: Path) -> None:
    """What the Lambda runtime brings besides the standard library, and the clock."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*LAMBDA_PROVIDES, "time_machine", "_time_machine"):
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"{name} is not installed; run `make setup`")
        origin = Path(spec.origin)
        source = origin.parent if origin.name == "__init__.py" else origin
        link = folder / source.name
        if not link.exists():
            link.symlink_to(source)
