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
import select
import socket
import struct
import sys
import threading
import time
import traceback
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

END = "\x1eEND"
REST = "\x1eREST"
"""Last line of what extensions did after an answer."""

INIT_SECONDS = 10.0

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


class Extensions:
    """Lambda's Extensions API, as far as code inside the function's process may use it: it is told of invocations, and the
    next one begins when it has asked for the next."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._changed = threading.Condition()
        self._told: dict[str, queue.SimpleQueue[dict[str, Any]]] = {}
        self._resting: set[str] = set()
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def are_there(self) -> bool:
        return bool(self._told)

    def begin(self, init: dict[str, Any], call: dict[str, Any]) -> None:
        """Tell all of an invocation."""
        with self._changed:
            self._resting.clear()
        deadline = int((time.time() + call["timeout_ms"] / 1000) * 1000)
        for told in self._told.values():
            told.put({"eventType": "INVOKE", "deadlineMs": deadline, "requestId": call["request_id"],
                      "invokedFunctionArn": init["arn"], "tracing": {"type": "X-Amzn-Trace-Id", "value": ""}})  # fmt: skip

    def wait(self, seconds: float) -> bool:
        """Wait until all have asked for the next invocation; False if they do not in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._resting == self._told.keys(), seconds)

    def answer(self, method: str, path: str, headers: Any, body: bytes) -> tuple[int, dict[str, Any], str]:
        """Status, body and identifier."""
        if (method, path) == ("POST", "/2020-01-01/extension/register"):
            if json.loads(body)["events"] != ["INVOKE"] or not headers["Lambda-Extension-Name"]:
                return 403, {"errorType": "Extension.InvalidEventType"}, ""  # SHUTDOWN is for processes of their own
            identifier = str(uuid.uuid4())
            self._told[identifier] = queue.SimpleQueue()
            return 200, {"functionName": os.environ["AWS_LAMBDA_FUNCTION_NAME"]}, identifier
        identifier = headers["Lambda-Extension-Identifier"]
        if (method, path) != ("GET", "/2020-01-01/extension/event/next") or identifier not in self._told:
            return 403, {"errorType": "Extension.UnknownExtensionIdentifier"}, ""
        with self._changed:
            self._resting.add(identifier)
            self._changed.notify_all()
        return 200, self._told[identifier].get(), identifier

    def _serve(self) -> None:
        # Few functions have any: the server is imported for them only.
        select.select([self._listener], [], [])
        from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer  # noqa: PLC0415

        extensions = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, answer, identifier = extensions.answer(self.command, self.path, self.headers, body)
                text = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Lambda-Extension-Identifier", identifier)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_POST = do_GET  # noqa: N815 - the server's name for it

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
        server.socket.close()
        server.socket = self._listener
        server.serve_forever()


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
    extensions = Extensions()
    os.environ["AWS_LAMBDA_RUNTIME_API"] = extensions.address
    try:
        handler = getattr(importlib.import_module(init["module"]), init["handler"])
    except Exception:
        answer({"status": "error", "error": traceback.format_exc()})
        return
    if not extensions.wait(INIT_SECONDS):
        answer({"status": "error", "error": "an extension has registered and does not ask for the next event"})
        return
    answer({"status": "ready", "extensions": extensions.are_there})
    while True:
        message = json.loads(waiting.get())
        call = message["ctx"]
        _set_clock()
        if call.get("trace_id"):
            os.environ["_X_AMZN_TRACE_ID"] = call["trace_id"]
        extensions.begin(init, call)
        begun = _monotonic()
        try:
            outcome = {"status": "ok", "result": handler(message["event"], Context(init, call))}
            json.dumps(outcome)
        except Exception as error:
            outcome = {"status": "error", "error": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}
        print(END, file=sys.stderr, flush=True)
        answer(outcome)
        if extensions.are_there:
            if not extensions.wait(call["timeout_ms"] / 1000 - (_monotonic() - begun)):
                print("Extension.Timeout: it has not asked for the next event", file=sys.stderr, flush=True)
                os._exit(1)
            print(REST, file=sys.stderr, flush=True)


main()
