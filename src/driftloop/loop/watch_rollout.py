"""Traffic arrives while a version is rolled out: does the version answer as the gate has seen it answer?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from driftloop.data.windows import Window
from driftloop.loop.bake import is_baking
from driftloop.loop.baselines import load_baseline
from driftloop.loop.shards import read_shards
from driftloop.monitoring.profile import Profile, merge
from driftloop.ports import Champion, Clock, Deployment, Ledger, Model, Models, Objects
from driftloop.promotion.shift import MIN_ROWS, Usual

_BEFORE = timedelta(days=1)
"""Traffic before the rollout that is compared with: every time of the day once."""
_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class RolloutWatch:
    """Scores the predictions of what was captured since a rollout began."""

    models: Models
    ledger: Ledger
    objects: Objects
    clock: Clock
    live_bucket: str

    def score(self, name: str, traffic: Profile) -> float | None:
        """Shift of the predictions, 1 at its limit; None if no version is on its way, and if nothing can be said."""
        if traffic.probabilities.sum() < MIN_ROWS:
            return None
        deployment = self.ledger.deployment(name)
        if deployment is None or deployment.expected is None or deployment.is_shadow:
            return None
        model = self.models.get(name)
        before = self._before(model, deployment)
        usual = self._usual(name, before, deployment) if before else None
        if usual is None:
            return None
        return usual.score(traffic.probabilities, deployment.expected, model.spec["serving"]["rollout"]["tolerance"])

    def _before(self, model: Model, deployment: Deployment) -> Champion | None:
        """The version that served when a rollout began that is under way, or that may still be taken back."""
        champion = self.ledger.champion(model.name)
        if champion is None or deployment.phase == "updating":
            return champion
        done = deployment.phase == "done" and champion.config == deployment.config
        return champion.previous if done and is_baking(model, champion, self.clock.now()) else None

    def _usual(self, name: str, before: Champion, deployment: Deployment) -> Usual | None:
        start = deployment.started_at.replace(minute=0, second=0, microsecond=0)
        day = Window(start - _BEFORE, start)
        baseline = load_baseline(self.objects, before.baseline_uri)
        shards = read_shards(self.objects, self.live_bucket, name, baseline, day.dates())
        hours = {(date, f"{hour:02d}") for date in day.dates() for hour in day.hours(date)}
        return Usual.of_hours(
            [merge(baseline.bins, shards[hour]).probabilities for hour in sorted(hours & shards.keys())]
        )
