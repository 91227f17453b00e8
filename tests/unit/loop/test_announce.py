"""What people are told, and what the bus is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from driftloop.loop.announce import EPISODE_CHANGED, VERSION_CHANGED, Announcer
from driftloop.ports import RetryableError
from driftloop.retraining.episode import Episode, Status, Trigger
from driftloop.simulation.fakes import FakeEvents, FakeNotifier
from tests.fakes import examples as ex
from tests.unit.loop.world import World

TOLD = {
    Status.STARTED: "Nothing: the gate decides about the challenger when it is trained.",
    Status.CANDIDATE: "Approve or reject the version in SageMaker Studio or with update-model-package.",
    Status.REJECTED: "Nothing: the champion goes on serving. The evaluation says where the challenger fell short.",
    Status.FAILED: "Look at the failed step's log; driftloop retrain starts another one by hand.",
    Status.ROLLED_BACK: "The version before serves again. Look at the endpoint's log and alarm before the next rollout.",
}
"""Status -> what whoever reads the message should do; of other moves people hear nothing."""


@pytest.fixture
def announcer() -> Announcer:
    return Announcer(FakeNotifier(), FakeEvents())


def _messages(announcer: Announcer) -> list[tuple[str, str]]:
    assert isinstance(announcer.notifier, FakeNotifier)
    return announcer.notifier.messages


def _events(announcer: Announcer) -> list[tuple[str, object]]:
    assert isinstance(announcer.events, FakeEvents)
    return list(announcer.events.sent)


def _episode(status: Status, rule: str = "start") -> Episode:
    return replace(
        ex.episode(status), rule=rule, outcome="step Train failed", by="alarm driftloop-late-train-drift",
        pipeline_execution_arn="arn:execution", model_package_arn="arn:package",
    )  # fmt: skip


@pytest.mark.parametrize("status", list(Status))
def test_the_bus_hears_of_every_move(announcer: Announcer, status: Status) -> None:
    announcer.moved(replace(_episode(status), until=ex.START))
    detail = {
        "model": "late_train", "episode": "291302435c31f786ca10", "trigger": "drift", "status": str(status),
        "rule": "start", "reason": "threshold crossed", "outcome": "step Train failed",
        "by": "alarm driftloop-late-train-drift", "model_package_arn": "arn:package",
        "pipeline_execution_arn": "arn:execution", "into": "", "until": "2026-03-02T00:00:00Z",
    }  # fmt: skip
    assert _events(announcer) == [(EPISODE_CHANGED, detail)]


def test_what_is_not_known_is_said_to_be_so(announcer: Announcer) -> None:
    announcer.moved(ex.episode(Status.STARTED))
    ((_, detail),) = _events(announcer)
    assert isinstance(detail, dict)
    assert detail["until"] is None
    assert (detail["by"], detail["model_package_arn"]) == ("", "")


@pytest.mark.parametrize("status", list(Status))
def test_people_hear_of_what_they_may_want_to_act_on(announcer: Announcer, status: Status) -> None:
    announcer.moved(_episode(status))
    if status not in TOLD:
        assert _messages(announcer) == []
        return
    message = (
        "Episode: 291302435c31f786ca10\nTrigger: drift\nAsked by: alarm driftloop-late-train-drift\n"
        "Reason: threshold crossed\nOutcome: step Train failed\nExecution: arn:execution\nVersion: arn:package\n"
        f"What to do: {TOLD[status]}\nThe whole story: driftloop explain 291302435c31f786ca10\n"
    )
    assert _messages(announcer) == [(f"[driftloop] late_train: retraining {status}", message)]


def test_what_is_not_known_is_left_out_of_a_message(announcer: Announcer) -> None:
    announcer.moved(ex.episode(Status.STARTED))
    ((_, message),) = _messages(announcer)
    assert [line.partition(":")[0] for line in message.splitlines()] == [
        "Episode", "Trigger", "Reason", "What to do", "The whole story",
    ]  # fmt: skip


@pytest.mark.parametrize("rule", ["wanted", "fresh", "resumed", "sound", "cooled_down", "within_day", "affordable"])
def test_people_are_not_bothered_with_refusals(announcer: Announcer, rule: str) -> None:
    announcer.moved(_episode(Status.REFUSED, rule))
    assert _messages(announcer) == []
    assert len(_events(announcer)) == 1


def test_people_are_asked_when_the_loop_has_given_up(announcer: Announcer) -> None:
    announcer.moved(_episode(Status.REFUSED, "hopeful"))
    ((subject, message),) = _messages(announcer)
    assert subject == "[driftloop] late_train: retraining refused"
    assert "What to do: Find out why retraining does not help; driftloop retrain starts one by hand.\n" in message


def test_a_version_that_serves(announcer: Announcer) -> None:
    announcer.serves("late_train", 3, "arn:3")
    detail = {"model": "late_train", "version": 3, "model_package_arn": "arn:3"}
    assert _events(announcer) == [(VERSION_CHANGED, detail)]
    assert _messages(announcer) == [("[driftloop] late_train: version 3 serves", "arn:3")]


def test_a_version_that_was_rolled_back(announcer: Announcer) -> None:
    announcer.rolled_back("late_train", 3, "arn:3", "the endpoint went back")
    detail = {
        "model": "late_train",
        "version": 3,
        "model_package_arn": "arn:3",
        "rolled_back": "the endpoint went back",
    }
    assert _events(announcer) == [(VERSION_CHANGED, detail)]
    assert _messages(announcer) == [("[driftloop] late_train: version 3 rolled back", "the endpoint went back")]


def test_the_names_of_the_events_are_what_others_wrote_into_their_rules() -> None:
    assert (EPISODE_CHANGED, VERSION_CHANGED) == ("Retraining Episode Changed", "Serving Version Changed")


# The whole way


def _heard(world: World) -> list[object]:
    return [detail["status"] for kind, detail in world.events.sent if kind == EPISODE_CHANGED]


def test_a_retraining_from_its_request_to_its_service() -> None:
    world = World()
    episode = world.starter.handle(ex.request(at=world.clock.now()))
    world.starter.handle(ex.request(Trigger.QUALITY, "other", world.clock.now()))
    world.end(episode.pipeline_execution_arn, "Succeeded")
    package = ex.package(2, episode.id)
    world.hosting.add(package)
    for _ in range(2):  # what is delivered twice is heard once
        world.deployer.decided(package.arn)
    world.hosting.settle(ex.BASE)
    for _ in range(2):
        world.confirmer.changed(ex.BASE)
    assert _heard(world) == [
        "requested", "started", "merged", "candidate", "approved", "rolling_out", "promoted",
    ]  # fmt: skip
    assert [kind for kind, _ in world.events.sent].count(VERSION_CHANGED) == 1
    assert world.notifier.subjects == [
        "[driftloop] late_train: retraining started",
        "[driftloop] late_train: retraining candidate",
        "[driftloop] late_train: version 2 serves",
    ]


class _Deaf(FakeEvents):
    """A bus that takes nothing for a while."""

    def __init__(self, refusals: int) -> None:
        super().__init__()
        self.refusals = refusals

    def put(self, kind: str, detail: object) -> None:
        if self.refusals:
            self.refusals -= 1
            raise RetryableError("the event bus refused it")
        super().put(kind, detail)  # type: ignore[arg-type]


def test_what_the_bus_does_not_take_is_mailed_all_the_same() -> None:
    world = World(events=_Deaf(9))
    episode = ex.episode().moved(Status.STARTED, ex.START).moved(Status.CANDIDATE, ex.START)
    with pytest.raises(RetryableError):
        world.announcer.moved(episode)
    with pytest.raises(RetryableError):
        world.announcer.serves(ex.NAME, 2, "arn")
    with pytest.raises(RetryableError):
        world.announcer.rolled_back(ex.NAME, 2, "arn", "why")
    assert world.notifier.subjects == [
        "[driftloop] late_train: retraining candidate",
        "[driftloop] late_train: version 2 serves",
        "[driftloop] late_train: version 2 rolled back",
    ]


@pytest.mark.parametrize("refusals", [1, 2, 3])
def test_a_bus_that_does_not_listen_stops_no_retraining(refusals: int) -> None:
    """The delivery fails and comes back; the pipeline is started once, and its episode goes on."""
    world = World(events=_Deaf(refusals))
    wanted = ex.request(at=world.clock.now())
    for _ in range(refusals):
        try:
            world.starter.handle(wanted)
        except RetryableError:
            continue
    assert world.starter.handle(wanted).status is Status.STARTED
    assert world.episode(wanted.episode_id).status is Status.STARTED
    assert len(world.pipelines.started) == 1


def test_a_pipeline_that_could_not_be_started_has_no_step_to_look_at(announcer: Announcer) -> None:
    announcer.moved(replace(_episode(Status.FAILED), pipeline_execution_arn=""))
    [(_, message)] = _messages(announcer)
    assert "What to do: Repair what the outcome names; then driftloop retrain starts another one.\n" in message
