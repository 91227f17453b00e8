"""Runs one packaged function in a process of its own, as the Lambda runtime does. Stand-alone: never imported.

Started as ``python -I -S lambda_worker.py RUNTIME CLOCK``, so nothing but the standard library, the function's own
package and what the Lambda runtime brings (RUNTIME) can be imported. Speaks ministack's line protocol on stdin and
stdout; the function's own output goes to stderr, closed by one END line per invocation.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import struct
import sys
import threading
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

END = "\x1eEND"

runtime, clock_path = sys.argv[1:3]
sys.path.append(runtime)
import time_machine  # noqa: E402

_monotonic = time.monotonic
_travel = time_machine.travel(datetime.now(UTC), tick=True)
_machine = _travel.start()


def _set_clock() -> None:
    virtual, monotonic = struct.unpack("dd", Path(clock_path).read_bytes())
    _machine.move_to(datetime.fromtimestamp(virtual + _monotonic() - monotonic, UTC), tick=True)


class Context:
    """What Lambda passes as the second argument."""

    identity = None
    client_context = None

    def __init__(self, init: dict[str, Any], call: dict[str, Any]) -> None:
        self.function_name = init["function_name"]
        self.function_version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        self.memory_limit_in_mb = init["memory"]
        self.invoked_function_arn = call.get("invoked_function_arn") or init["arn"]
        self.aws_request_id = call["request_id"]
        self.log_group_name = f"/aws/lambda/{self.function_name}"
        self.log_stream_name = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME", "")
        self._deadline = _monotonic() + call["timeout_ms"] / 1000

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._deadline - _monotonic()) * 1000))


def listen(questions: TextIO, waiting: queue.SimpleQueue[str]) -> None:
    for line in questions:
        waiting.put(line)
    # The twin is gone, however that happened. The handler may be at work; nobody would learn of it.
    os._exit(0)


def main() -> None:
    # Whatever the function or its children write to standard output goes to the log, and none of it is an answer.
    questions, answers = os.fdopen(os.dup(0), encoding="utf-8"), os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    sys.stdout = sys.stderr

    def answer(value: dict[str, Any]) -> None:
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    init = json.loads(questions.readline())
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=listen, args=(questions, waiting), daemon=True).start()
    sys.path.insert(0, init["code_dir"])
    _set_clock()
    try:
        handler = getattr(importlib.import_module(init["module"]), init["handler"])
    except Exception:
        answer({"status": "error", "error": traceback.format_exc()})
        return
    answer({"status": "ready"})
    while True:
        message = json.loads(waiting.get())
        call = message["ctx"]
        _set_clock()
        if call.get("trace_id"):
            os.environ["_X_AMZN_TRACE_ID"] = call["trace_id"]
        try:
            outcome = {"status": "ok", "result": handler(message["event"], Context(init, call))}
            json.dumps(outcome)
        except Exception as error:
            outcome = {"status": "error", "error": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}
        print(END, file=sys.stderr, flush=True)
        answer(outcome)


main()
