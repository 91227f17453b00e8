"""Starts Python containers by forking, with the image's libraries imported already. Stand-alone: never imported.

A container image brings numpy, scikit-learn and boto3; importing them anew takes longer than most steps. Requests come
as JSON lines on standard input; every started process and its end are told on standard output. Ends when its input does.
"""

from __future__ import annotations

import contextlib
import json
import os
import runpy
import signal
import sys
import threading
import traceback
from typing import Any

with contextlib.suppress(ImportError):
    import boto3  # noqa: F401
    import joblib  # noqa: F401
    import numpy  # noqa: F401
    import sklearn.ensemble  # noqa: F401


def contain(request: dict[str, Any]) -> int:
    """Become the container: run the program and give its exit status."""
    lead_group(0)
    os.chdir(request["cwd"])
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = request["arguments"]
    if sys.argv[0].endswith(".py"):
        sys.path.insert(0, os.path.dirname(os.path.abspath(sys.argv[0])))  # noqa: PTH100, PTH120 - as Python does it
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as error:
        if isinstance(error.code, str):
            sys.stderr.write(f"{error.code}\n")
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def lead_group(pid: int) -> None:
    """Make a process the head of its own group; called on both sides of the fork, so that neither waits for the other."""
    with contextlib.suppress(ProcessLookupError):
        os.setpgid(pid, pid)


def end_group(pid: int) -> None:
    """End a container, or what it has left behind."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def main() -> None:
    answers = threading.Lock()
    running = set()

    def answer(value: dict[str, int]) -> None:
        with answers:
            sys.__stdout__.write(json.dumps(value) + "\n")  # type: ignore[union-attr]
            sys.__stdout__.flush()  # type: ignore[union-attr]

    def await_end(pid: int) -> None:
        _, status = os.waitpid(pid, 0)
        end_group(pid)
        running.discard(pid)
        answer({"pid": pid, "status": os.waitstatus_to_exitcode(status)})

    for line in sys.stdin:
        request = json.loads(line)
        with answers:
            pid = os.fork()
            if pid == 0:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                status = contain(request)
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
            lead_group(pid)
        running.add(pid)
        answer({"started": request["number"], "pid": pid})
        threading.Thread(target=await_end, args=(pid,), daemon=True).start()
    # Whoever asked for the containers is gone, however that happened.
    for pid in list(running):
        end_group(pid)


main()
