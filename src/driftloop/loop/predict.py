"""A client asks for predictions over HTTP: check, ask the endpoint, answer, and then capture where SageMaker does not."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from driftloop.data.questions import BadQuestionError, Problem, Question, read_csv, read_json
from driftloop.data.records import CSV, Body, Encodings, capture_key, capture_record, is_sampled
from driftloop.data.windows import iso
from driftloop.names import VARIANT
from driftloop.ports import Clock, Endpoints, Model, NotFoundError, Objects, RetryableError, TerminalError

JSON = "application/json"
MAX_BYTES = 4 * 1024 * 1024
"""What a serverless endpoint takes in one request."""
_MAX_ID = 64
_ID = re.compile(rf"[!-~][ -~]{{0,{_MAX_ID - 1}}}")
"""What SageMaker takes."""


@dataclass(frozen=True)
class Answer:
    """What the client gets."""

    status: int
    content_type: str
    text: str
    inference_id: str = ""
    """Under which it is captured."""


@dataclass(frozen=True)
class Predictions:
    """Answers requests for one model. ``later`` is given what is to be done when the client has its answer."""

    model: Model
    endpoints: Endpoints
    objects: Objects
    clock: Clock
    live_bucket: str
    new_id: Callable[[], str]
    later: Callable[[Callable[[], object]], None]

    def answer(self, content_type: str, body: bytes, inference_id: str = "") -> Answer:
        """One request; whatever comes of it is an answer."""
        kind = content_type.partition(";")[0].strip().lower()
        inference_id = inference_id or self.new_id()
        try:
            question = self._question(kind, body, inference_id)
            told = self._ask(question, inference_id)
            # Whatever it is: monitoring has to hear of answers that clients cannot use.
            self._capture(question, told, inference_id)
            answer = _predictions(question, told, kind)
        except _RefusedError as error:
            return Answer(error.status, JSON, json.dumps({"errors": [problem.to_dict() for problem in error.problems]}))
        return replace(answer, inference_id=inference_id)

    def _question(self, kind: str, body: bytes, inference_id: str) -> Question:
        if not _ID.fullmatch(inference_id):
            raise _RefusedError(
                400, f"the inference id is not 1 to {_MAX_ID} printable ASCII characters, no blank first"
            )
        try:
            if kind == CSV:
                question = read_csv(self.model.schema, body)
            elif kind == JSON:
                question = read_json(self.model.schema, body, iso(self.clock.now()), self.new_id)
            else:
                raise _RefusedError(415, f"content type {kind[:80]!r} is not known; send {JSON} or {CSV}")
        except BadQuestionError as error:
            raise _RefusedError(400, *error.problems) from None
        if len(question.rows) > MAX_BYTES:
            raise _RefusedError(413, f"{len(question.rows)} bytes are more than {MAX_BYTES}; send fewer rows")
        return question

    def _ask(self, question: Question, inference_id: str) -> bytes:
        try:
            return self.endpoints.ask(self.model.resources.endpoint, question.rows, inference_id)
        except NotFoundError:
            raise _RefusedError(503, f"no version of {self.model.name} serves yet") from None
        except RetryableError as error:
            raise _RefusedError(503, f"{error}; try again") from None
        except TerminalError as error:
            raise _RefusedError(502, str(error)) from None

    def _capture(self, question: Question, told: bytes, inference_id: str) -> None:
        serving, event_id = self.model.spec["serving"], self.new_id()
        if serving["mode"] != "serverless" or not is_sampled(event_id, serving["capture"]):
            return
        at = self.clock.now()
        record = capture_record(Body(CSV, question.rows), Body(CSV, told), Encodings(), event_id, at, inference_id)
        # An object of its own under a name of its own, made once: retries count nothing double.
        key = capture_key("capture", self.model.resources.endpoint, VARIANT, at, event_id)
        self.later(lambda: self.objects.create(self.live_bucket, key, record))


def _predictions(question: Question, told: bytes, kind: str) -> Answer:
    try:
        scores = [float(line) for line in told.decode().split()]
    except ValueError:
        raise _RefusedError(502, "the version answered with something else than numbers") from None
    if len(scores) != len(question.ids):
        raise _RefusedError(502, f"the version answered {len(question.ids)} rows with {len(scores)} predictions")
    if not all(map(math.isfinite, scores)):
        raise _RefusedError(502, "the version answered with numbers that are none")
    if kind == CSV:
        return Answer(200, CSV, told.decode())
    rows = [{"id": row, "probability": score} for row, score in zip(question.ids, scores, strict=True)]
    return Answer(200, JSON, json.dumps({"predictions": rows}))


class _RefusedError(Exception):
    def __init__(self, status: int, *problems: Problem | str) -> None:
        super().__init__()
        self.status = status
        self.problems = [Problem(problem) if isinstance(problem, str) else problem for problem in problems]
