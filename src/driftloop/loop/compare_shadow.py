"""A version is the shadow of the one that serves: compare what both answered, and decide when its time is over."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from driftloop.data.capture import decode_capture
from driftloop.data.columns import values_of
from driftloop.data.decoded import SCORE
from driftloop.data.records import captured_at
from driftloop.data.schema import Schema
from driftloop.data.windows import iso
from driftloop.loop.expected_difference import expected_difference
from driftloop.monitoring.statistics import Floats
from driftloop.names import SHADOW, VARIANT, shadow_report
from driftloop.ports import (
    Clock,
    Decisions,
    Deployment,
    Hosting,
    Ledger,
    Model,
    Models,
    Objects,
    Package,
    Usages,
)
from driftloop.promotion.shadow import Comparison, Limits, Pairs, Verdict

MAX_ROWS = 20_000
"""Rows of the shadow that are compared, from all hours alike."""
_SEARCHED = 5
"""How many times as many rows of the version that serves are looked through for them."""
_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Comparer:
    """Compares, writes the report anew and decides. Every call can be repeated."""

    models: Models
    ledger: Ledger
    hosting: Hosting
    objects: Objects
    usages: Usages
    decisions: Decisions
    clock: Clock
    live_bucket: str

    def compare(self, name: str) -> str:
        """Look at a model's shadow, if it has one; says what was done."""
        deployment = self.ledger.deployment(name)
        if deployment is None or deployment.phase != "shadowing":
            return f"{name} has no shadow to look at: nothing to do"
        model, start = self.models.get(name), deployment.started_at
        # A model file that asks for none any more ends those that are under way.
        end = start + timedelta(seconds=model.spec["serving"]["rollout"].get("shadow") or 0)
        now = self.clock.now()
        over = now >= end
        package = self.hosting.package(deployment.package_arn)
        compared = self._compared(model, package, start, min(now, end))
        verdict, reason = compared.judged(Limits.from_spec(model.spec))
        report = {
            "model": name, "version": deployment.version, "start": iso(start), "end": iso(end), "over": over,
            "verdict": verdict, "reason": reason, **compared.to_dict(),
        }  # fmt: skip
        self.objects.write(
            self.live_bucket, shadow_report(name, deployment.version), json.dumps(report, indent=1).encode()
        )
        if not over:
            return f"version {deployment.version} so far: {reason}"
        return self._decide(name, deployment, package, verdict, reason)

    def _decide(self, name: str, deployment: Deployment, package: Package, verdict: Verdict, reason: str) -> str:
        if verdict is Verdict.REJECTED and package.approval == "Approved":
            # The registry's event ends the shadow; if it is lost, the reconciler does.
            self.hosting.reject(package.arn, reason)
        elif verdict is Verdict.SERVES and self.ledger.set_deployment(
            name, replace(deployment, phase="compared"), deployment
        ):
            self.decisions.tell(package.arn, package.approval)
        return f"version {deployment.version}: {verdict}, {reason}"

    def _compared(self, model: Model, package: Package, start: datetime, end: datetime) -> Comparison:
        endpoint = model.resources.endpoint
        served, shadow = (self.usages.of(endpoint, variant, start, end) for variant in (VARIANT, SHADOW))
        hours = list(_hours(start, end))
        pairs = Pairs()
        for hour in hours:
            self._add(pairs, model, hour, start, -(-MAX_ROWS // len(hours)))
        expected = expected_difference(self.hosting, self.objects, self.ledger.champion(model.name), package)
        return Comparison(served, shadow, pairs, expected)

    def _add(self, pairs: Pairs, model: Model, hour: datetime, start: datetime, rows: int) -> None:
        shadow: dict[str, float] = {}
        for ids, scores in self._answers(model, SHADOW, hour, start):
            for id_, score in zip(ids, scores, strict=True):
                shadow.setdefault(id_, score)
            if len(shadow) >= rows:
                break
        read = 0
        for ids, scores in self._answers(model, VARIANT, hour, start) if shadow else ():
            read += len(ids)
            # An id that is asked twice is compared once.
            found = [(score, shadow.pop(id_)) for id_, score in zip(ids, scores, strict=True) if id_ in shadow]
            if found:
                both = np.array(found)
                pairs.add(both[:, 0], both[:, 1])
            # Both were asked at the same time: partners that do not come soon were not captured.
            if not shadow or read > _SEARCHED * rows:
                break

    def _answers(
        self, model: Model, variant: str, hour: datetime, start: datetime
    ) -> Iterator[tuple[list[str], list[float]]]:
        """Ids and probabilities of captured rows, part by part."""
        schema, endpoint = model.schema, model.resources.endpoint
        first = captured_at("capture", endpoint, variant, start)
        for key in self.objects.keys(self.live_bucket, f"capture/{endpoint}/{variant}/{hour:%Y/%m/%d/%H}/"):
            if key < first:
                continue  # of another shadow, earlier in this hour
            yield from _read(schema, self.objects, self.live_bucket, key)


def _read(schema: Schema, objects: Objects, bucket: str, key: str) -> Iterator[tuple[list[str], list[float]]]:
    for part in decode_capture(schema, objects.blocks(bucket, key)):
        scores: Floats = values_of(part.table[SCORE])
        yield values_of(part.table[schema.id]).tolist(), scores.tolist()


def _hours(start: datetime, end: datetime) -> Iterator[datetime]:
    hour = start.replace(minute=0, second=0, microsecond=0)
    while hour <= end:
        yield hour
        hour += _HOUR
