"""A version is on its way: does it answer as the gate has seen it answer?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from itertools import islice

from driftloop.data.capture import decode_capture
from driftloop.data.decoded import SCORE
from driftloop.loop.bake import is_baking
from driftloop.loop.batch_files import is_of_file
from driftloop.loop.expected_difference import expected_difference
from driftloop.names import VARIANT, model_of_endpoint
from driftloop.ports import Champion, Clock, Deployment, Hosting, Ledger, Model, Models, NotFoundError, Objects
from driftloop.promotion.shift import MIN_ROWS, NOTHING, Answers, Usual

SAMPLES, APART = 24, timedelta(hours=7)
"""Seven hours apart, 24 samples are of a week, each of another hour of the day."""
ROWS = 2000
"""Answers that are judged, the latest ones."""
OBJECTS = 50
"""Captures that are read for them, or for a sample: some hold one row only."""
_TEN = timedelta(minutes=10)
_HOUR = timedelta(hours=1)

_USUAL: dict[tuple[str, str, datetime], Usual | None] = {}
"""What a warm function has read of rollouts that are under way; captures of the past do not change."""
_KEPT = 16


@dataclass(frozen=True)
class Look:
    """What was seen."""

    score: float | None
    """Shift of the predictions, 1 at its limit; None if nothing can be said."""
    reason: str


@dataclass(frozen=True)
class RolloutWatch:
    """Compares what was captured since a rollout began with what was captured in the week before."""

    models: Models
    ledger: Ledger
    hosting: Hosting
    objects: Objects
    clock: Clock
    live_bucket: str

    def look(self, endpoint: str) -> Look | None:
        """Look at an endpoint as it is now; None if no version is on its way to its clients."""
        name = model_of_endpoint(endpoint)
        deployment = self.ledger.deployment(name)
        if deployment is None or deployment.is_shadow or deployment.instead_of:
            return None
        champion = self.ledger.champion(name)
        version = f"version {deployment.version} is {deployment.phase}"
        if deployment.phase == "prepared":
            return Look(None, f"{version} for its rollout")
        model = self.models.get(name)
        if champion is not None and deployment.phase == "done" and is_baking(model, champion, self.clock.now()):
            champion = champion.previous
        elif deployment.phase != "updating":
            return None
        if champion is None:
            return Look(None, f"{version} and there is none before it")
        score, reason = self._score(model, champion, deployment)
        return Look(score, f"{version}: {reason}")

    def _score(self, model: Model, before: Champion, deployment: Deployment) -> tuple[float | None, str]:
        try:
            package = self.hosting.package(deployment.package_arn)
        except NotFoundError:
            return None, "it is not in the registry"
        expected = expected_difference(self.hosting, self.objects, before, package)
        if expected is None:
            return None, f"the gate has not compared it with version {before.version}"
        captures = _Captures(self.objects, self.live_bucket, model)
        key = (model.name, deployment.package_arn, deployment.started_at)
        if key not in _USUAL:
            if len(_USUAL) >= _KEPT:
                _USUAL.clear()
            moments = [deployment.started_at - APART * (back + 1) for back in range(SAMPLES)]
            _USUAL[key] = Usual.of_samples([captures.sample(m) for m in moments if m - _HOUR >= before.since])
        usual = _USUAL[key]
        if usual is None:
            return None, f"there is too little traffic of version {before.version} in the week before"
        now = captures.latest(deployment.started_at, self.clock.now())
        tolerance = model.spec["serving"]["rollout"].get("tolerance", 1.0)
        score = usual.score(now, expected, tolerance)
        if score is None:
            return None, f"{now.rows} answers since the rollout began are too few: {MIN_ROWS} are needed"
        return score, f"the shift of {now.rows} predictions is {score:.2f} of its limit"


@dataclass(frozen=True)
class _Captures:
    """What the variant that clients hear has answered. Names begin with minute and second, below a folder for the hour."""

    objects: Objects
    bucket: str
    model: Model

    @cached_property
    def _root(self) -> str:
        return f"capture/{self.model.resources.endpoint}/{VARIANT}/"

    def sample(self, moment: datetime) -> Answers:
        """Some consecutive answers of the hour before a moment: from its middle on, or from anywhere if it is quiet."""
        hour = (moment - _HOUR).replace(minute=0, second=0, microsecond=0)
        middle = self._read(self._keys(f"{hour:%Y/%m/%d/%H}/3"))
        return middle if middle.rows >= MIN_ROWS else self._read(self._keys(f"{hour:%Y/%m/%d/%H}/"))

    def latest(self, start: datetime, now: datetime) -> Answers:
        """The latest answers since a start, the last ones first."""
        return self._read(self._since(start, now))

    def _since(self, start: datetime, now: datetime) -> Iterator[str]:
        first = f"{self._root}{start:%Y/%m/%d/%H/%M-%S}"
        moment = now
        while moment >= start - _TEN:
            for key in reversed(self._keys(f"{moment:%Y/%m/%d/%H}/{moment.minute // 10}")):
                if key >= first:
                    yield key
            moment -= _TEN

    def _keys(self, prefix: str) -> list[str]:
        found = self.objects.keys(self.bucket, self._root + prefix)
        # Files are other rows than clients ask for, and the version before may have answered them.
        return [key for key in found if not is_of_file(key)]

    def _read(self, keys: Iterable[str]) -> Answers:
        answers = NOTHING
        for key in islice(keys, OBJECTS):
            for part in decode_capture(self.model.schema, self.objects.blocks(self.bucket, key)):
                answers += Answers.of(part.columns[SCORE], part.refused)
                if answers.rows >= ROWS:
                    return answers
        return answers
