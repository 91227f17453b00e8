"""Work that is done when the answer is on its way to whoever asked: an internal extension of Lambda.

Lambda freezes a process as soon as its handler has returned and every extension has asked for the next event. So a thread
that has registered as an extension holds the process until the work is done, and nobody waits for it:
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html
"""

from __future__ import annotations

import json
import logging
import os
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection

_VERSION = "/2020-01-01/extension"
Work = Callable[[], None]


class Afterwards:
    """What is to be done after the answer. Where there is no Extensions API, it is done before it."""

    def __init__(self, api: str | None, name: str) -> None:
        """``api`` is AWS_LAMBDA_RUNTIME_API. Raises OSError if it cannot be registered with."""
        self._later: list[Work] = []
        self._handed: queue.SimpleQueue[list[Work]] = queue.SimpleQueue()
        self._extended = api is not None
        if api is not None:
            connection = HTTPConnection(api)
            identifier = _call(
                connection, "POST", "register", {"Lambda-Extension-Name": name}, json.dumps({"events": ["INVOKE"]})
            )
            next_event = {"Lambda-Extension-Identifier": identifier}
            threading.Thread(target=self._serve, args=(connection, next_event), daemon=True, name=name).start()

    def do(self, work: Work) -> None:
        """Do something once the answer is given."""
        self._later.append(work)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Around each invocation, whatever comes of it: Lambda waits for as long as nothing is handed over."""
        try:
            yield
        finally:
            work, self._later = self._later, []
            if self._extended:
                self._handed.put(work)
            else:
                _do(work)

    def _serve(self, connection: HTTPConnection, headers: dict[str, str]) -> None:
        while True:
            try:
                _call(connection, "GET", "event/next", headers)
            except Exception:
                logging.getLogger(__name__).exception("the Extensions API does not answer")
                # Lambda would wait for this thread until its time-out, at every invocation; it starts a new process instead.
                os._exit(1)
            _do(self._handed.get())


def _do(work: list[Work]) -> None:
    for task in work:
        try:
            task()
        except BaseException:
            # The answer is given, and nobody would ask for the next event if this thread ended.
            logging.getLogger(__name__).exception("work after an answer failed")


def _call(connection: HTTPConnection, method: str, path: str, headers: dict[str, str], body: str | None = None) -> str:
    """The extension's identifier, as each answer has it. Raises OSError."""
    connection.request(method, f"{_VERSION}/{path}", body, headers)
    answer = connection.getresponse()
    answer.read()
    if answer.status != 200:
        raise OSError(f"{path}: {answer.status} {answer.reason}")
    return answer.getheader("Lambda-Extension-Identifier", "")
