"""What SageMaker does for fleets of instances and not for serverless endpoints: take a new version back if an alarm rings
while it bakes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from driftloop.names import ModelNames, rollout_signals
from driftloop.ports import Champion, Deployment, Model, RaisedAlarm


def watched_alarms(model: Model) -> tuple[str, ...]:
    """The alarms that tell that a version misbehaves."""
    signals = rollout_signals(bool(model.spec["serving"]["max_latency"]))
    if "tolerance" not in model.spec["serving"]["rollout"]:
        # Deployed before there was this alarm; SageMaker refuses rollouts with alarms that do not exist.
        signals = tuple(signal for signal in signals if signal != "shift")
    return tuple(ModelNames(model.name).alarm(signal) for signal in signals)


def bakes_by_itself(model: Model) -> bool:
    """True if SageMaker watches the rollouts of a model."""
    return bool(model.spec["serving"]["mode"] != "serverless")


def is_baking(model: Model, champion: Champion, now: datetime) -> bool:
    """True while a version may be taken back by the kit: the next one would make it the version before."""
    return not bakes_by_itself(model) and now <= _end(model, champion)


def _end(model: Model, champion: Champion) -> datetime:
    return champion.since + timedelta(seconds=model.spec["serving"]["rollout"]["bake"])


def misbehaviour(
    model: Model, champion: Champion | None, latest: Deployment | None, raised: Iterable[RaisedAlarm]
) -> str:
    """Why the version that serves has to give way to the one before; empty if it need not.

    A version that serves for longer than its bake time stays, whatever rings, and so does one without a version before it
    and one that is the way back from another.
    """
    if bakes_by_itself(model) or champion is None or champion.previous is None or latest is None:
        return ""
    if latest.phase != "done" or latest.package_arn != champion.package_arn or latest.instead_of:
        return ""
    watched = watched_alarms(model)
    # From its start, as the endpoint answers with the new version before that is recorded.
    rang = [
        alarm for alarm in raised if alarm.name in watched and latest.started_at <= alarm.since <= _end(model, champion)
    ]
    return f"alarm {rang[0].name} rang while version {champion.version} was baking: {rang[0].reason}" if rang else ""
