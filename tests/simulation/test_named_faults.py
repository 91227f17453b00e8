"""The faults that loops like this one are known for, each as a story. Every story ends with all invariants."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from driftloop.names import ModelNames
from driftloop.retraining.episode import Episode, Status
from driftloop.simulation.invariants import check, state_of
from driftloop.simulation.world import LIVE, World, counted

MODEL = "model_0"
BASE = ModelNames(MODEL).base
COOLDOWN = timedelta(hours=3)


class Story(World):
    """One model whose first version serves."""

    def next(self, kind: str, place: str) -> None:
        """A fault strikes as soon as it can."""
        self.faults.due.append((kind, place))

    def since_the_first(self, *statuses: Status) -> list[Episode]:
        """Episodes after the first version's, of some statuses if any are named."""
        return [e for e in self.episodes(MODEL)[1:] if not statuses or e.status in statuses]

    @property
    def runs(self) -> int:
        """Runs of the pipeline after the first version's."""
        return sum(1 for run in self.cloud.executions if run.episode) - 1

    @property
    def serves(self) -> str:
        """Configuration of the endpoint."""
        state = self.cloud.hosting.endpoint(BASE)
        return f"{state.status} {state.config}" if state else "nothing"

    def outage(self, **period: float) -> None:
        """No service answers for a while, as when the key that encrypts everything is disabled."""
        self.faults.rates, self.faults.until = {"throttled": 1.0}, self.engine.now + timedelta(**period)


@pytest.fixture
def retraining() -> dict[str, Any]:
    """The policy, for tests to change."""
    return {"cooldown": "3h", "budget": {"per_day": 4, "per_month": 20}}


@pytest.fixture
def world(retraining: dict[str, Any]) -> Iterator[Story]:
    world = Story()
    world.deploy(MODEL, retraining=retraining)
    with world.running():
        world.first_version(MODEL)
        world.run(hours=8, minutes=10)
        assert world.serves == f"InService {BASE}-v1"
        yield world
        world.run(hours=5)
        assert check(world) == []


def test_a_duplicate_event(world: Story) -> None:
    world.next("event_twice", "to retraining")
    world.cloud.trouble(MODEL, "drift")
    world.run(hours=2)
    assert (world.runs, world.serves) == (1, f"InService {BASE}-v2")


def test_a_lost_event(world: Story) -> None:
    world.next("event_lost", "to retraining")
    world.cloud.trouble(MODEL, "drift")
    world.run(minutes=30)
    assert world.runs == 0
    world.run(hours=2)
    assert (world.runs, world.serves) == (1, f"InService {BASE}-v2")
    assert "stands since" in world.since_the_first()[0].reason


@pytest.mark.parametrize("queue", ["episode", "deployment", "endpoint"])
def test_an_event_that_is_lost_on_the_way(world: Story, queue: str) -> None:
    world.cloud.trouble(MODEL, "drift")
    world.next("event_lost", f"to {queue}")
    world.run(hours=3)
    assert (world.runs, world.serves) == (1, f"InService {BASE}-v2")
    assert [e.status for e in world.since_the_first()] == [Status.PROMOTED]


def test_a_late_event(world: Story) -> None:
    world.next("event_late", "to retraining")
    world.cloud.trouble(MODEL, "drift")
    world.run(hours=4)
    assert (world.runs, world.serves) == (1, f"InService {BASE}-v2")


def test_events_in_another_order(world: Story) -> None:
    """The approval comes before the end of the pipeline, which is late besides."""
    world.next("event_late", "registered first")
    world.next("event_late", "to episode")
    world.cloud.trouble(MODEL, "drift")
    world.run(hours=3)
    (episode,) = world.since_the_first()
    assert [status for _, status in episode.history] == [
        "requested", "started", "approved", "rolling_out", "promoted",
    ]  # fmt: skip


def test_a_target_that_is_down(world: Story) -> None:
    for _ in range(3):
        world.next("throttled", "pipelines.start")
    world.cloud.trouble(MODEL, "drift")
    world.run(hours=2)
    assert (world.runs, len(world.since_the_first())) == (1, 1)


def test_an_alarm_that_never_leaves_alarm(world: Story) -> None:
    """It is asked about again, ever more rarely, and in the end a person is."""
    world.cloud.trouble(MODEL, "drift", curable=False)
    world.run(days=6)
    rejected = world.since_the_first(Status.REJECTED)
    pauses = [b.opened_at - a.closed_at for a, b in pairwise(rejected) if a.closed_at]
    assert len(rejected) == 5
    assert all(pause >= COOLDOWN * 2**number for number, pause in enumerate(pauses))
    world.ask(MODEL, "I have looked", "by hand")
    world.run(hours=1)
    assert world.runs == 6


def test_missing_data(world: Story) -> None:
    """A window without rows says nothing, and nothing is retrained on it."""
    answers: list[Any] = []
    world.account.call("detect_drift", {"model": MODEL}, answers.append)
    world.run(hours=2)
    assert [answer["verdict"] for answer in answers] == ["not enough data"]
    assert world.runs == 0


def test_a_storm_of_requests(world: Story) -> None:
    for number in range(40):
        world.ask(MODEL, "again and again", f"storm-{number}")
        world.run(minutes=1)
    world.run(hours=4)
    answered = world.since_the_first()
    assert len(answered) == 40
    assert world.runs == sum(1 for e in answered if e.ran) <= 3  # one of the day's four was the first version
    assert all(e.rule in ("alone", "within_day") and e.outcome for e in answered if not e.ran)


def test_a_run_that_is_in_flight(world: Story) -> None:
    world.cloud.trouble(MODEL, "drift")
    world.run(minutes=5)
    world.cloud.trouble(MODEL, "quality")
    world.run(minutes=5)
    running, merged = world.since_the_first()
    assert (merged.status, merged.into) == (Status.MERGED, running.id)
    assert world.runs == 1


def test_throttling(world: Story) -> None:
    world.faults.rates, world.faults.until = {"throttled": 0.2}, world.engine.now + timedelta(hours=3)
    world.cloud.trouble(MODEL, "drift")
    world.run(hours=6)
    assert world.serves.startswith("InService")
    assert world.serves != f"InService {BASE}-v1"


@pytest.mark.parametrize("crash", ["crash_before", "crash_after", "response_lost"])
@pytest.mark.parametrize("place", ["ledger.claim", "pipelines.start", "ledger.move", "events.put", "notifier.publish"])
def test_a_crash_between_claim_and_start(world: Story, crash: str, place: str) -> None:
    world.next(crash, place)
    world.cloud.trouble(MODEL, "drift")
    world.run(hours=3)
    assert (world.runs, world.serves) == (1, f"InService {BASE}-v2")


@pytest.mark.parametrize("crash", ["crash_before", "crash_after", "response_lost"])
@pytest.mark.parametrize(
    "place", ["hosting.prepare", "hosting.create", "hosting.update", "hosting.endpoint", "ledger.set_deployment", "ledger.set_champion"]
)  # fmt: skip
def test_a_crash_in_a_rollout(world: Story, crash: str, place: str) -> None:
    world.next(crash, place)
    world.cloud.trouble(MODEL, "drift")
    world.run(hours=3)
    assert (world.runs, world.serves) == (1, f"InService {BASE}-v2")
    assert [e.status for e in world.since_the_first()] == [Status.PROMOTED]


def test_poisoned_capture_records(world: Story) -> None:
    world.capture(MODEL, good=3, bad=2)
    world.run(minutes=10)
    assert list(counted(world).values()) == [(3, 2)]


def test_double_counting(world: Story) -> None:
    world.next("event_twice", "to capture")
    world.next("crash_after", "objects.write")
    world.capture(MODEL, good=3, bad=1)
    world.run(hours=1)
    assert sum(1 for message in world.account.messages if message.queue == "capture") == 2
    assert list(counted(world).values()) == [(3, 1)]


def test_late_labels(world: Story) -> None:
    """Labels that come before their predictions wait, and the ones after them are joined at once."""
    world.label(MODEL, f"{MODEL}-0-0")
    world.run(minutes=3)
    assert not world.objects.keys(LIVE, "labelled/")
    world.capture(MODEL, good=2)
    world.run(hours=1)
    world.label(MODEL, f"{MODEL}-0-1")
    world.run(minutes=10)
    labelled = [world.objects.read(LIVE, key).decode() for key in world.objects.keys(LIVE, "labelled/")]
    assert sorted(text.splitlines()[1].split(",")[1] for text in labelled) == [f"{MODEL}-0-0", f"{MODEL}-0-1"]


def test_a_silent_rollback(world: Story) -> None:
    world.next("silent_rollback", MODEL)
    world.cloud.trouble(MODEL, "drift")
    world.run(hours=2)
    (episode,) = world.since_the_first()
    champion = world.ledger.champion(MODEL)
    assert (episode.status, world.serves) == (Status.ROLLED_BACK, f"InService {BASE}-v1")
    assert champion is not None
    assert champion.version == 1
    assert world.cloud.hosting.package(episode.model_package_arn).approval == "Rejected"
    assert any("rolled back" in subject for subject in world.notifier.subjects)


def test_the_way_back_is_deleted_only_when_there_is_another(world: Story) -> None:
    for version in (2, 3):
        world.cloud.trouble(MODEL, "drift")
        world.run(hours=10)
        assert world.serves == f"InService {BASE}-v{version}"
        assert set(world.cloud.hosting.plans) == {f"{BASE}-v{version - 1}", f"{BASE}-v{version}"}


def test_an_alarm_about_the_version_before(world: Story) -> None:
    """What the alarm has seen was judged by another version's baseline, so it has to show itself again."""
    world.ask(MODEL, "curiosity", "by hand")
    while world.serves != f"InService {BASE}-v2":
        world.run(minutes=1)
    world.run(minutes=10)
    world.cloud.trouble(MODEL, "drift")
    world.run(minutes=10)
    deferred = world.since_the_first()[-1]
    champion = world.ledger.champion(MODEL)
    assert champion is not None
    assert (deferred.status, deferred.rule) == (Status.DEFERRED, "of_this_version")
    assert deferred.until == champion.since + timedelta(hours=5)
    world.run(hours=8)
    assert world.runs == 2


def test_a_rollback_is_no_loop(world: Story) -> None:
    """A version that was rolled back is not tried again, whoever approves it."""
    world.next("silent_rollback", MODEL)
    world.cloud.trouble(MODEL, "drift")
    world.run(hours=2)
    (episode,) = world.since_the_first()
    for _ in range(3):
        world.cloud.decide(episode.model_package_arn, "Approved")
        world.run(minutes=30)
    assert [config for _, _, config in world.cloud.rollouts].count(f"{BASE}-v2") == 1


def test_a_version_that_is_approved_twice(world: Story) -> None:
    world.cloud.trouble(MODEL, "drift")
    world.next("person_approves_twice", f"arn:aws:sagemaker:eu-central-1:123456789012:model-package/{BASE}/2")
    world.run(hours=3)
    assert [config for _, _, config in world.cloud.rollouts] == [f"{BASE}-v1", f"{BASE}-v2"]


@pytest.mark.parametrize("retraining", [{"cooldown": "3h", "approval": "manual", "budget": {"per_day": 4}}])
def test_a_version_that_is_deleted_before_somebody_decides(world: Story) -> None:
    world.next("version_deleted", MODEL)
    world.cloud.trouble(MODEL, "drift")
    world.run(hours=3)
    assert [e.status for e in world.since_the_first()] == [Status.FAILED]
    world.run(hours=6)
    assert world.runs == 2


def test_a_key_that_is_disabled(world: Story) -> None:
    """Nothing works for two hours. What came meanwhile waits or is a dead letter, and all of it is made good."""
    world.cloud.trouble(MODEL, "drift")
    world.capture(MODEL, good=2, bad=1)
    world.outage(hours=2)
    world.run(hours=2)
    assert world.runs == 0
    assert [m.fate for m in world.account.messages[-2:]] == ["dead", "dead"]
    world.run(hours=3)
    assert (world.runs, world.serves) == (1, f"InService {BASE}-v2")
    for message in world.account.messages:
        if message.fate == "dead":  # driftloop dead-letters --redrive
            world.account.replay(message, timedelta(0))
    world.run(hours=1)
    assert list(counted(world).values()) == [(2, 1)]
    assert world.runs == 1


def test_clocks_that_are_wrong(world: Story) -> None:
    world.faults.rates, world.faults.until = {"clock_skew": 1.0}, world.engine.now + timedelta(hours=20)
    for signal in ("drift", "quality"):
        world.cloud.trouble(MODEL, signal)
        world.run(hours=8)
    assert world.runs == 2


def test_a_replay_of_all_events(world: Story) -> None:
    world.cloud.trouble(MODEL, "drift")
    world.capture(MODEL, good=2)
    world.run(hours=10)
    before = state_of(world)
    for message in list(world.account.messages):
        world.account.replay(message, timedelta(seconds=1))
    world.run(minutes=30)
    assert state_of(world) == before


@pytest.mark.parametrize(
    "retraining", [{"cooldown": "1h", "budget": {"per_day": 2, "per_month": 5}, "give_up_after": 20}]
)
def test_drift_that_somebody_fakes_to_burn_money(world: Story) -> None:
    for _ in range(20):
        world.cloud.trouble(MODEL, "drift", curable=False)
        world.ask(MODEL, "please", f"asked at {world.engine.now}")
        world.run(hours=12)
    assert world.runs + 1 == 5


def test_a_pipeline_whose_history_is_deleted(world: Story) -> None:
    world.next("execution_deleted", MODEL)
    world.next("event_lost", "to episode")
    world.next("step_failed", MODEL)
    world.cloud.trouble(MODEL, "drift")
    world.run(hours=3)
    episode = world.since_the_first()[0]
    assert (episode.status, "gone" in episode.outcome) == (Status.FAILED, True)


def test_a_run_that_a_person_stops(world: Story) -> None:
    world.next("stopped_by_hand", MODEL)
    world.cloud.trouble(MODEL, "drift")
    world.run(hours=1)
    assert world.since_the_first()[0].status is Status.FAILED
    world.run(hours=6)
    assert world.runs == 2


def test_a_run_that_a_person_starts_meanwhile(world: Story) -> None:
    """It is nobody's episode, and its version is rolled out if somebody approves it."""
    world.cloud.trouble(MODEL, "drift")
    world.run(minutes=1)
    world.cloud.run_by_hand(MODEL)
    world.run(hours=8)
    assert world.runs == 1
    assert world.serves in (f"InService {BASE}-v2", f"InService {BASE}-v3")


@pytest.mark.parametrize("retraining", [{"cooldown": "3h", "budget": {"per_month": 1}}])
def test_a_budget_that_is_spent(world: Story) -> None:
    world.cloud.trouble(MODEL, "drift")
    world.ask(MODEL, "please", "by hand")
    world.run(hours=8)
    assert world.runs == 0
    assert {(e.status, e.rule) for e in world.since_the_first()} == {
        (Status.DEFERRED, "within_month"),
        (Status.REFUSED, "within_month"),
    }


def test_a_feed_that_is_broken(world: Story) -> None:
    world.break_feed(MODEL)
    world.cloud.trouble(MODEL, "drift")
    world.run(hours=4)
    assert world.runs == 0
    assert "temp went null" in world.since_the_first()[0].outcome
    world.break_feed(MODEL, broken=False)
    world.run(hours=3)
    assert world.runs == 1


def test_a_paused_model(world: Story) -> None:
    world.pause(MODEL)
    world.cloud.trouble(MODEL, "drift")
    world.run(hours=4)
    assert world.runs == 0
    assert "paused by somebody" in world.since_the_first()[0].outcome
    world.pause(MODEL, paused=False)
    world.run(hours=3)
    assert world.runs == 1
