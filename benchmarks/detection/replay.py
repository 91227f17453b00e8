"""One policy over one stream, window by window, as the deployed loop would live through it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

import numpy as np

from benchmarks.detection.stream import Stream
from benchmarks.detection.versions import Version, Workshop
from driftloop.data.windows import Window, iso
from driftloop.monitoring.statistics import Floats
from driftloop.promotion.gate import Decision as GateDecision
from driftloop.retraining.decision import LOOK_BACK, decide
from driftloop.retraining.decision import Policy as Rules
from driftloop.retraining.episode import Episode, Request, Status, Trigger, open_episode
from pipelines.steps.step import StepError

SETTLING = timedelta(minutes=30)
"""From the end of a window to its judgement; see infra.constructs.model_schedules."""
ROLLOUT = timedelta(minutes=30)
"""From a request to the version that serves: pipeline, canary and bake."""


@dataclass(frozen=True)
class Evidence:
    """What is known when a window is judged."""

    stream: Stream
    window: Window
    now: datetime
    version: Version
    """The champion."""
    since: datetime
    """When it began to serve."""
    scores: Floats
    """What was answered so far; NaN for rows that are not yet served."""

    def served(self, window: Window) -> slice:
        """Rows of a window that the champion has answered."""
        return self.stream.rows(Window(max(window.start, self.since), max(window.end, self.since)))


@dataclass(frozen=True)
class Judgement:
    """What a policy says about one window."""

    alarm: bool
    trigger: Trigger | None = None
    """A retraining is asked for."""
    reason: str = ""
    judged: bool = True
    """False: the policy's tool refused the window."""


class Policy(Protocol):
    """Decides when a retraining is asked for. One object lives through one replay."""

    @property
    def name(self) -> str:
        """As in the results."""
        ...

    @property
    def gated(self) -> bool:
        """A challenger must beat the champion, and is refitted on the rows of the holdout once it has."""
        ...

    @property
    def fresh(self) -> bool:
        """Without a gate, versions are trained on the rows of the holdout, too."""
        ...

    def rules(self, rules: Rules) -> Rules:
        """The model file's rules of retraining, as far as the policy keeps them."""
        ...

    def judge(self, seen: Evidence) -> Judgement:
        """Look at one window."""
        ...


@dataclass
class History:
    """What happened in a replay."""

    scores: Floats
    windows: list[Window] = field(default_factory=list)
    alarms: list[bool] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """Why a policy's tool could not judge a window, for each such window."""
    episodes: list[Episode] = field(default_factory=list)

    def count(self, status: Status) -> int:
        """Episodes that ended so."""
        return sum(1 for episode in self.episodes if episode.status is status)


def replay(
    workshop: Workshop,
    policy: Policy,
    first: datetime,
    *,
    retrain: bool = True,
    windows: Sequence[Window] | None = None,
    tick: Callable[[], object] = lambda: None,
) -> History:
    """Train the first version at ``first`` and live through the windows from then on.

    Raises StepError if the first version cannot be trained.
    """
    stream = workshop.stream
    rules = policy.rules(Rules.from_spec(stream.spec))
    champion, since = _ready(workshop, policy, workshop.train(first)), first
    before = champion
    history = History(np.full(len(stream), np.nan))
    for window in stream.windows(first) if windows is None else windows:
        _serve(history.scores, stream, window, before, champion, since)
        now = window.end + SETTLING
        judgement = policy.judge(Evidence(stream, window, now, champion, since, history.scores))
        history.windows.append(window)
        history.alarms.append(judgement.alarm)
        if not judgement.judged:
            history.refused.append(judgement.reason)
        if retrain and judgement.trigger is not None:
            request = Request(stream.spec["name"], judgement.trigger, iso(now), judgement.reason, now)
            challenger = _retrain(workshop, policy, rules, history, champion, request)
            if challenger is not None:
                before, champion, since = champion, challenger, now + ROLLOUT
        tick()
    return history


def _serve(scores: Floats, stream: Stream, window: Window, before: Version, champion: Version, since: datetime) -> None:
    rows = stream.rows(window)
    change = min(max(stream.place(since), rows.start), rows.stop)
    for version, part in ((before, slice(rows.start, change)), (champion, slice(change, rows.stop))):
        if part.start < part.stop:
            scores[part] = version.scores(stream.table(part))


def _retrain(
    workshop: Workshop, policy: Policy, rules: Rules, history: History, champion: Version, request: Request
) -> Version | None:
    """The version that takes over, if one does."""
    recent = [episode for episode in history.episodes if episode.opened_at > request.at - LOOK_BACK]
    decision = decide(rules, recent, request, request.at)
    if not decision.start:
        return None
    status, outcome, version = _attempt(workshop, policy, champion, request.at)
    closed: Any = open_episode(request, Status.REQUESTED, decision.rule, outcome)
    history.episodes.append(replace(closed, status=status, closed_at=request.at + ROLLOUT))
    return version


def _attempt(
    workshop: Workshop, policy: Policy, champion: Version, now: datetime
) -> tuple[Status, str, Version | None]:
    try:
        challenger = workshop.train(now)
        reason = "no gate"
        if policy.gated:
            result = workshop.challenge(challenger, champion)
            if result.decision is not GateDecision.PROMOTE:
                return Status.REJECTED, result.reason, None
            reason = result.reason
        return Status.PROMOTED, reason, _ready(workshop, policy, challenger)
    except (StepError, ValueError) as error:
        return Status.FAILED, str(error), None


def _ready(workshop: Workshop, policy: Policy, version: Version) -> Version:
    """The version as it serves."""
    return workshop.refit(version) if policy.gated or policy.fresh else version
