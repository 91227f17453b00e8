"""An asynchronous endpoint has answered: what it was asked and its answer become captures, which SageMaker does not make of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from driftloop.data.answers import UnpairedError, capture_objects, check_pairs
from driftloop.data.records import capture_key
from driftloop.names import VARIANT, model_of_endpoint
from driftloop.ports import Models, Objects, TerminalError

Place = tuple[str, str]
"""Bucket and key of an object."""


@dataclass(frozen=True)
class Answered:
    """One request and its answer, as SageMaker tells of them."""

    endpoint: str
    request: Place
    answer: Place
    inference_id: str
    at: datetime

    @property
    def id(self) -> str:
        """The same each time it is told. Clients may choose an inference id twice; SageMaker names no two answers alike."""
        return hashlib.sha256("\n".join([self.inference_id, *self.answer]).encode()).hexdigest()[:24]


@dataclass(frozen=True)
class AnswerCapture:
    """Captures answers. Telling it of one twice is harmless."""

    models: Models
    objects: Objects
    live_bucket: str

    def capture(self, answered: Answered) -> str:
        """Pair rows and predictions, and keep a share of them; says what was done.

        Raises NotFoundError if the request or its answer is gone, TerminalError if they do not fit each other.
        """
        model = self.models.get(model_of_endpoint(answered.endpoint))
        try:
            # Before anything is captured: of an answer that does not fit nothing is to be believed.
            rows = check_pairs(*self._both(answered), joined=False)
        except UnpairedError as error:
            request, answer = ("/".join(place) for place in (answered.request, answered.answer))
            raise TerminalError(f"s3://{answer} does not answer s3://{request}: {error}") from None
        contents = capture_objects(
            *self._both(answered), answered.id, answered.at, model.spec["serving"]["capture"], joined=False,
            inference_id=answered.inference_id,
        )  # fmt: skip
        created = 0
        for number, content in enumerate(contents):
            key = capture_key("capture", model.resources.endpoint, VARIANT, answered.at, f"{answered.id}-{number}")
            # Made once: what is told twice is not counted twice.
            created += self.objects.create(self.live_bucket, key, content)
        return f"{rows} rows of {model.name} in {created} new captures"

    def _both(self, answered: Answered) -> tuple[Iterator[bytes], Iterator[bytes]]:
        return self.objects.blocks(*answered.request), self.objects.blocks(*answered.answer)
