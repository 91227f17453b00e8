"""A version is on its way: does it answer as the gate has seen it answer?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

import numpy as np

from driftloop.data.capture import decode_capture
from driftloop.data.columns import values_of
from driftloop.data.decoded import SCORE
from driftloop.data.records import captured_at
from driftloop.loop.bake import is_baking
from driftloop.loop.batch_files import is_of_file
from driftloop.loop.expected_difference import expected_difference
from driftloop.loop.warm import WarmFiles
from driftloop.names import VARIANT, model_of_endpoint
from driftloop.ports import Champion, Clock, Deployment, Hosting, Ledger, Model, Models, NotFoundError, Objects
from driftloop.promotion.shift import MIN_ROWS, Answers, Usual

SAMPLES, APART = 24, timedelta(hours=7)
"""Seven hours apart, 24 samples are of a week, each of another hour of the day."""
AT_ONCE = 8
"""Samples that one look reads, so that none takes long."""
ROWS = 500
"""Answers of a sample, and at most of what is judged."""
OBJECTS = 300
"""Captures that are read for them: some hold one row only."""
FRESH = timedelta(minutes=5)
"""How old the answers are that are judged, if there are enough: the longer ago, the more the old fleet has answered."""
_TEN, _HOUR = timedelta(minutes=10), timedelta(hours=1)
_TOLD = timedelta(hours=1)
"""When an endpoint is told after this, its own event brings another look."""

_READ: WarmFiles[Answers] = WarmFiles()
"""Hours that a warm function has read; what was captured in the past does not change."""


@dataclass(frozen=True)
class Look:
    """What was seen."""

    score: float | None
    """Shift of the predictions, 1 at its limit; None if nothing can be said."""
    reason: str


Each = Callable[[Callable[[str], Answers], Sequence[str]], Iterable[Answers]]


@dataclass(frozen=True)
class RolloutWatch:
    """Compares what was captured since a rollout began with what was captured in the week before."""

    models: Models
    ledger: Ledger
    hosting: Hosting
    objects: Objects
    clock: Clock
    live_bucket: str
    each: Each = map
    """Reads several captures, in order."""

    def look(self, endpoint: str) -> Look | None:
        """Look at an endpoint as it is now; None if no version is on its way to its clients."""
        name = model_of_endpoint(endpoint)
        deployment = self.ledger.deployment(name)
        if deployment is None or deployment.is_shadow or deployment.instead_of:
            return None
        champion, now = self.ledger.champion(name), self.clock.now()
        version = f"version {deployment.version} is {deployment.phase}"
        if deployment.phase == "prepared" and now - deployment.started_at < _TOLD:
            return Look(None, f"{version} for its rollout")
        model = self.models.get(name)
        if champion is not None and deployment.phase == "done" and is_baking(model, champion, now):
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
        captures = _Captures(self.objects, self.live_bucket, model, self.each)
        samples, missing = captures.week(deployment.started_at, before.since)
        if missing:
            return None, f"{missing} hours of the week before are still to be read"
        usual = Usual.of_samples(samples)
        if usual is None:
            return None, f"there is too little traffic of version {before.version} in the week before"
        now = captures.latest(deployment.started_at, self.clock.now())
        found = usual.score(now, expected, model.spec["serving"]["rollout"].get("tolerance", 1.0))
        if found is None:
            return None, f"{now.rows} answers since the rollout began are too few: {MIN_ROWS} are needed"
        return (
            found.score,
            f"{now.rows} predictions are {found.distance:.4f} from those before, limit {found.limit:.4f}",
        )


@dataclass(frozen=True)
class _Captures:
    """What the variant that clients hear has answered. Names begin with minute and second, below a folder for the hour."""

    objects: Objects
    bucket: str
    model: Model
    each: Each

    def week(self, start: datetime, since: datetime) -> tuple[list[Answers], int]:
        """Samples of the week before a rollout in which a version served, and how many of them are not read yet."""
        hours = [
            (start - APART * back - _HOUR).replace(minute=0, second=0, microsecond=0) for back in range(1, SAMPLES + 1)
        ]
        names = [f"{hour:%Y/%m/%d/%H}" for hour in hours if hour >= since]
        group = (self.model.name, start)
        read = min(len(names), _READ.count(group) + AT_ONCE)
        return _READ.read(group, names[:read], self._sample), len(names) - read

    def latest(self, start: datetime, now: datetime) -> Answers:
        """The latest answers since a start, the last ones first; older ones only if there are few."""
        fresh = self._name(now - FRESH)
        return self._read(self._since(start, now), lambda key, rows: rows >= MIN_ROWS and key < fresh)

    def _sample(self, hour: str) -> Answers:
        """Some consecutive answers of an hour: from its middle on, or from anywhere if it is quiet."""
        for minutes in ("30-", "3", ""):
            answers = self._read(self._keys(f"{hour}/{minutes}"))
            if len(answers.scores) >= MIN_ROWS:
                break
        return answers

    def _since(self, start: datetime, now: datetime) -> Iterator[str]:
        first, moment = self._name(start), now
        while moment >= start - _TEN:
            for key in reversed(self._keys(f"{moment:%Y/%m/%d/%H}/{moment.minute // 10}")):
                if key >= first:
                    yield key
            moment -= _TEN

    def _name(self, moment: datetime) -> str:
        return captured_at("capture", self.model.resources.endpoint, VARIANT, moment)

    @property
    def _root(self) -> str:
        return f"capture/{self.model.resources.endpoint}/{VARIANT}/"

    def _keys(self, prefix: str) -> list[str]:
        found = self.objects.keys(self.bucket, self._root + prefix)
        if self.model.spec["serving"]["mode"] == "asynchronous":
            return found  # captured by the kit and named as files are
        # Files are other rows than clients ask for, and the version before may have answered them.
        return [key for key in found if not is_of_file(key)]

    def _read(self, keys: Iterable[str], enough: Callable[[str, int], bool] = lambda _, __: False) -> Answers:
        """Answers of captures one after the other, until there are enough of them."""
        scores, refused, rows = list[np.ndarray](), 0, 0
        for key, part in self._objects(islice(keys, OBJECTS)):
            if rows >= ROWS or enough(key, rows):
                break
            scores.append(part.scores[: ROWS - rows])
            refused, rows = refused + min(part.refused, ROWS), rows + part.rows
        return Answers(np.concatenate([np.empty(0), *scores]), refused)

    def _objects(self, keys: Iterator[str]) -> Iterator[tuple[str, Answers]]:
        """The first one alone, as it often has all that is needed, then a few at a time."""
        size = 1
        while some := list(islice(keys, size)):
            yield from zip(some, self.each(self._object, some), strict=True)
            size = 8

    def _object(self, key: str) -> Answers:
        """The first answers of a capture."""
        scores, refused = list[np.ndarray](), 0
        for part in decode_capture(self.model.schema, self.objects.blocks(self.bucket, key)):
            scores.append(values_of(part.table[SCORE]))
            refused += part.refused
            if sum(map(len, scores)) >= ROWS:
                break
        return Answers(np.concatenate([np.empty(0), *scores])[:ROWS], refused)
