"""Replays: who serves when, when a retraining starts, and what it is worth."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest

from benchmarks.detection.catalog import Catalog
from benchmarks.detection.figures import delays, figures
from benchmarks.detection.nulls import null_rate
from benchmarks.detection.policies import Driftloop, Never, Periodic, Psi
from benchmarks.detection.replay import ROLLOUT, SETTLING, Evidence, History, Judgement, replay
from benchmarks.detection.versions import Workshop
from driftloop.data.windows import DAY, Window
from driftloop.retraining.decision import Policy as Rules
from driftloop.retraining.episode import Status, Trigger
from pipelines.steps.inference import score
from pipelines.steps.refit import fit_all
from pipelines.steps.step import StepError
from tests.unit.benchmarks.detection_streams import CHANGE, FIRST, MOVED, small_stream, workshop


@dataclass
class Once:
    """Asks for one retraining on the third day; keeps what it saw."""

    name: str = "once"
    gated: bool = False
    fresh: bool = False
    asked: bool = False
    seen: list[Evidence] = field(default_factory=list)

    def rules(self, rules: Rules) -> Rules:
        return rules

    def judge(self, seen: Evidence) -> Judgement:
        self.seen.append(seen)
        ask, self.asked = len(self.seen) == 3, True
        return Judgement(ask, Trigger.DRIFT if ask else None, "asked")


def test_never_serves_the_first_version_all_the_time() -> None:
    stream = small_stream()
    history = replay(workshop(), Never(), FIRST)
    start = stream.place(FIRST)
    assert np.isnan(history.scores[:start]).all()
    expected = workshop().train(FIRST).scores(stream.table(slice(start, len(stream))))
    assert (history.scores[start:] == expected).all()
    assert not history.episodes


def test_a_new_version_serves_from_the_end_of_its_rollout_and_learned_nothing_later() -> None:
    stream, policy = small_stream(), Once()
    history = replay(workshop(), policy, FIRST)
    asked = FIRST + 3 * DAY + SETTLING
    change = stream.place(asked + ROLLOUT)
    first, second = workshop().train(FIRST), workshop().train(asked)
    assert second.windows.holdout.end <= asked - stream.schema.label_delay
    around = slice(change - 20, change + 20)
    old, new = (version.scores(stream.table(around)) for version in (first, second))
    assert (old != new).any()
    assert (history.scores[around] == np.r_[old[:20], new[20:]]).all()
    assert [episode.status for episode in history.episodes] == [Status.PROMOTED]
    assert policy.seen[3].version is second


def test_what_a_champion_answered_begins_with_its_rollout() -> None:
    policy = Once()
    replay(workshop(), policy, FIRST)
    stream, fourth = small_stream(), policy.seen[3]
    since = FIRST + 3 * DAY + SETTLING + ROLLOUT
    assert fourth.since == since
    assert fourth.served(fourth.window).start == stream.place(since)
    before = Window(FIRST, FIRST + DAY)
    assert fourth.served(before).start == fourth.served(before).stop


def test_periodic_retrains_when_the_period_is_over() -> None:
    history = replay(workshop(), Periodic(7), FIRST)
    starts = [episode.opened_at - SETTLING for episode in history.episodes]
    assert starts == [FIRST + 7 * DAY, FIRST + 14 * DAY]


def test_alarms_keep_the_cooldown() -> None:
    class Always(Once):
        def judge(self, seen: Evidence) -> Judgement:
            return Judgement(True, Trigger.DRIFT, "always")

    history = replay(workshop(), Always(), FIRST)
    opened = [episode.opened_at for episode in history.episodes]
    assert opened[0] == FIRST + DAY + SETTLING
    gaps = [b - a for a, b in pairwise(opened)]
    assert gaps
    assert all(gap >= timedelta(days=7) for gap in gaps)


def test_a_gate_turns_down_what_is_not_better() -> None:
    history = replay(workshop(), Once(gated=True), FIRST)
    assert [episode.status for episode in history.episodes] == [Status.REJECTED]
    assert "margin" in history.episodes[0].outcome or "chance" in history.episodes[0].outcome
    assert (history.scores == replay(workshop(), Never(fresh=True), FIRST).scores)[small_stream().place(FIRST) :].all()


def test_driftloop_is_quiet_where_nothing_changes_and_finds_what_does() -> None:
    quiet = replay(workshop(), Driftloop(labels=False), FIRST, retrain=False)
    moved = replay(workshop(MOVED), Driftloop(labels=False), FIRST, retrain=False)
    assert sum(quiet.alarms) <= 1
    assert delays(moved, [CHANGE]) == [1]
    assert not any(moved.alarms[: (CHANGE - FIRST).days])


def test_what_passes_the_gate_serves_as_the_pipeline_refits_it() -> None:
    policy = Once(gated=True)
    history = replay(workshop(MOVED), policy, FIRST)
    first = workshop(MOVED).refit(workshop(MOVED).train(FIRST))
    assert policy.seen[0].version is first
    length = first.windows.training.end - first.windows.training.start
    assert first.learned == Window(first.windows.holdout.end - length, first.windows.holdout.end)
    assert [episode.status for episode in history.episodes] == [Status.REJECTED]
    fresh = Once(fresh=True)
    assert [e.status for e in replay(workshop(MOVED), fresh, FIRST).episodes] == [Status.PROMOTED]
    second = fresh.seen[3].version
    stream = small_stream(MOVED)
    rows = stream.table(stream.rows(second.learned))
    expected = score(fit_all(stream.schema, rows, stream.spec["training"]), rows).round(6)
    assert (second.scores(rows) == expected).all()
    assert second.learned.end <= FIRST + 3 * DAY + SETTLING - stream.schema.label_delay
    assert second.baseline is workshop(MOVED).train(FIRST + 3 * DAY + SETTLING).baseline


def test_a_champion_is_not_compared_on_the_rows_that_it_was_refitted_on() -> None:
    shop, stream = workshop(MOVED), small_stream(MOVED)
    champion = shop.refit(shop.train(FIRST))
    with pytest.raises(StepError, match=r"leaves \d+ rows of 2 days of the holdout"):
        shop.challenge(shop.train(FIRST + 2 * DAY), champion)
    result = shop.challenge(shop.train(FIRST + 3 * DAY), champion)
    rows = stream.rows(Window(champion.learned.end, champion.learned.end + 3 * DAY))
    assert f"on {rows.stop - rows.start} rows of 3 days" in result.reason


def test_the_schedule_asks_at_fixed_times_from_the_first_version_on() -> None:
    stream = small_stream()
    retraining = {**stream.spec["retraining"], "on": ["schedule"], "every": 5 * 86400, "cooldown": 86400}
    history = replay(Workshop(replace(stream, spec={**stream.spec, "retraining": retraining})), Driftloop(), FIRST)
    assert [episode.trigger for episode in history.episodes] == [Trigger.SCHEDULE] * 3
    assert [e.opened_at for e in history.episodes] == [FIRST + 5 * n * DAY + SETTLING for n in (1, 2, 3)]


def test_psi_finds_a_large_shift() -> None:
    history = replay(workshop(MOVED), Psi(share=0.1), FIRST, retrain=False)
    assert all(history.alarms[(CHANGE - FIRST).days :])


def test_delays_count_windows_up_to_the_next_change() -> None:
    windows = [Window(FIRST + i * DAY, FIRST + (i + 1) * DAY) for i in range(6)]
    history = History(np.empty(0), windows, [True, False, False, True, False, False])
    changes = [FIRST + 1.5 * DAY, FIRST + 4 * DAY]
    assert delays(history, changes) == [3, None]
    assert delays(history, []) == []


def test_figures_are_of_the_rows_that_were_served() -> None:
    stream = small_stream()
    scores = np.full(len(stream), np.nan)
    scores[-4:] = [0.25, 0.75, 0.25, 0.75]
    labels = stream.labels.copy()
    labels[-4:] = [0, 1, 0, 0]
    known = replace(stream, columns=stream.columns | {stream.schema.label: labels})
    result = figures(known, "x", History(scores), [])
    assert result["rows"] == 4
    assert result["accuracy"] == 0.75
    assert result["log_loss"] == round(float(-(3 * np.log(0.75) + np.log(0.25)) / 4), 6)


def test_shuffled_copies_have_only_false_alarms() -> None:
    makers = {name: Catalog().maker(name) for name in ("never", "driftloop_unlabelled")}
    rates = null_rate(small_stream(MOVED), makers, FIRST, 1, 15, 3, lambda: None)
    assert rates["never"] == 0
    assert rates["driftloop_unlabelled"] <= 1 / 15
