"""May a standing alarm start a retraining at a moment? Written a second time, from the documentation of the rules and
what the world knows, so that a rule that objects to too much is found as well as one that lets too much pass."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from driftloop.monitoring.report import Verdict
from driftloop.ports import Model
from driftloop.retraining.episode import Episode
from driftloop.simulation.world import LABELLED_ROWS, World

_NEVER_RAN = ("refused", "deferred", "merged")
_OPEN = ("requested", "started", "candidate", "approved", "rolling_out")


def may_start(world: World, model: Model, episodes: Sequence[Episode], at: datetime) -> bool:
    """True if no rule of the model file stands in the way. ``episodes``: those opened by then."""
    retraining, monitoring = model.spec["retraining"], model.spec["monitoring"]
    seen = timedelta(hours=1, seconds=monitoring["window"] * (monitoring["of"] + 1))
    runs = sorted((e for e in episodes if e.status.value not in _NEVER_RAN), key=lambda e: e.opened_at)
    if any(run.status.value in _OPEN or run.closed_at is None or run.closed_at > at for run in runs):
        return False
    champion, watch = world.ledger.champion(model.name), world.ledger.watch(model.name)
    broken = watch and watch.verdict == Verdict.BROKEN_UPSTREAM and at - watch.window_end <= seen
    if world.ledger.pause(model.name) or broken or (champion and at < champion.since + seen):
        return False
    return (
        _learned(world, model, runs, at)
        and _rested(runs, retraining, at)
        and _within_budgets(world, model.name, retraining["budget"], at)
    )


def new_rows(world: World, model: Model, runs: Sequence[Episode]) -> int:
    """Labelled rows of hours that the last run's data did not reach."""
    watch = world.ledger.watch(model.name)
    delay = timedelta(seconds=model.spec["data"]["label_delay"])
    reached = (runs[-1].opened_at - delay).replace(minute=0, second=0, microsecond=0) if runs else None
    return sum(rows for hour, rows in watch.labelled.items() if reached is None or hour >= reached) if watch else 0


def _learned(world: World, model: Model, runs: Sequence[Episode], at: datetime) -> bool:
    needed = model.spec["retraining"]["new_rows"]
    # Rows that have become known since are counted, too: an hour of them more.
    return (
        not needed
        or world.ledger.watch(model.name) is None
        or new_rows(world, model, runs) >= needed + 3 * LABELLED_ROWS
    )


def _rested(runs: Sequence[Episode], retraining: dict[str, Any], at: datetime) -> bool:
    """The cooldown is over, which doubles with each further run in a row that brought nothing; and there is hope."""
    vain = 0
    for run in reversed(runs):
        if run.status.value == "promoted":
            break
        vain += (run.trigger.value, run.status.value) != ("schedule", "rejected")
    if vain >= retraining["give_up_after"]:
        return False
    ends = [run.closed_at for run in runs if run.closed_at]
    pause = timedelta(seconds=retraining["cooldown"]) * 2 ** max(0, vain - 1)
    return not ends or at >= max(ends) + min(pause, timedelta(days=30))


def _within_budgets(world: World, model: str, budget: dict[str, Any], at: datetime) -> bool:
    """Counted on the runs that there were. A run whose start was recorded late counts from then: a little more time."""
    begun = [run.begun for run in world.cloud.executions if run.episode and run.model == model]
    late = timedelta(hours=2)
    return all(
        sum(1 for moment in begun if moment > at - period - late) < budget[name]
        for name, period in (("per_day", timedelta(days=1)), ("per_month", timedelta(days=30)))
    )
