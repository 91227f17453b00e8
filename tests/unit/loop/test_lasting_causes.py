"""New data, and new code or settings: the reconciler asks once for each, as long as the cause lasts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from driftloop.ports import Model, TerminalError
from driftloop.retraining.episode import Episode, Status, Trigger
from driftloop.retraining.evidence import Pause, Watch
from driftloop.simulation.fakes import FakeModels
from tests.fakes import examples as ex
from tests.unit.loop.world import World

DAY = timedelta(days=1)


def _model(revision: str = "r1", on: tuple[str, ...] = ("data", "code")) -> Model:
    made = ex.model(retraining={"on": on, "new_rows": 100, "budget": {"per_month": 9}})
    return replace(made, resources=replace(made.resources, revision=revision))


@pytest.fixture
def world() -> World:
    """The first version was trained by hand and has cooled down."""
    made = World(models=FakeModels(_model()))
    made.serve()
    first = made.starter.handle(ex.request(Trigger.MANUAL, "first", made.clock.now()))
    _end(made, first)
    made.clock.advance(days=3)
    return made


def _end(world: World, episode: Episode, status: Status = Status.REJECTED) -> None:
    assert world.ledger.move(episode.moved(status, world.clock.now()), Status.STARTED)


def _labelled(world: World, rows: int) -> None:
    """Labels of the day before yesterday have come, as far as a retraining that starts now would reach."""
    now = world.clock.now().replace(hour=0)
    world.ledger.set_watch(ex.NAME, Watch(now, 1, "stable", (), {now - 2 * DAY: rows}))


def _deploy(world: World, revision: str, on: tuple[str, ...] = ("data", "code")) -> None:
    world.models = FakeModels(_model(revision, on))


def _started(world: World) -> Episode:
    """What one run of the reconciler has started."""
    (outcome,) = world.reconciler.reconcile().done.values()
    episode = world.ledger.episodes(ex.NAME, ex.START)[-1]
    assert outcome == f"{episode.reason}: episode {episode.id} started"
    return episode


def _idle(world: World) -> None:
    found = world.reconciler.reconcile()
    assert (found.done, found.failed) == ({}, {})


class TestData:
    def test_enough_new_rows_start_one(self, world: World) -> None:
        _labelled(world, 99)
        _idle(world)
        _labelled(world, 100)
        episode = _started(world)
        assert (episode.trigger, episode.by) == (Trigger.DATA, "reconciler")
        assert episode.reason == "at least 100 labelled rows are new since 2026-03-02 00:00"

    def test_the_same_rows_are_asked_for_once(self, world: World) -> None:
        _labelled(world, 500)
        episode = _started(world)
        _idle(world)
        _end(world, episode)
        for _ in range(20):
            world.clock.advance(days=1)
            _idle(world)
        assert len(world.pipelines.started) == 2

    def test_rows_that_come_after_it_start_the_next_one(self, world: World) -> None:
        _labelled(world, 500)
        _end(world, _started(world), Status.FAILED)
        world.clock.advance(days=9)
        _idle(world)
        _labelled(world, 100)
        assert _started(world).status is Status.STARTED
        assert len(world.pipelines.started) == 3

    def test_what_must_wait_leaves_no_trace(self, world: World) -> None:
        _labelled(world, 500)
        world.ledger.set_pause(ex.NAME, Pause("ann", ex.START, "why"))
        before = world.ledger.episodes(ex.NAME, ex.START)
        for _ in range(5):
            _idle(world)
        assert world.ledger.episodes(ex.NAME, ex.START) == before
        world.ledger.set_pause(ex.NAME, None)
        assert _started(world).status is Status.STARTED

    def test_where_no_window_was_judged_no_row_is_new(self, world: World) -> None:
        assert world.ledger.watch(ex.NAME) is None
        for _ in range(30):
            _idle(world)
            world.clock.advance(days=1)

    def test_the_first_version_is_for_people_to_ask_for(self) -> None:
        world = World(models=FakeModels(_model()))
        _labelled(world, 500)
        _idle(world)

    def test_a_model_file_that_does_not_listen_to_it(self, world: World) -> None:
        _deploy(world, "r1", ("code",))
        _labelled(world, 500)
        _idle(world)


class TestCode:
    def test_a_changed_revision_starts_one(self, world: World) -> None:
        _idle(world)
        _deploy(world, "r2")
        episode = _started(world)
        assert (episode.trigger, episode.by, episode.revision) == (Trigger.CODE, "deployment", "r2")
        assert episode.reason == "code or settings of training are r2 and the last retraining used r1"

    @pytest.mark.parametrize("status", [Status.REJECTED, Status.FAILED])
    def test_the_same_revision_is_asked_for_once(self, world: World, status: Status) -> None:
        _deploy(world, "r2")
        episode = _started(world)
        _idle(world)
        _end(world, episode, status)
        for _ in range(20):
            world.clock.advance(days=1)
            _idle(world)
        assert len(world.pipelines.started) == 2

    def test_a_run_that_could_not_be_started_is_no_answer(self, world: World) -> None:
        _deploy(world, "r2")
        world.pipelines.fault = TerminalError("not allowed")
        (outcome,) = world.reconciler.reconcile().done.values()
        assert outcome.endswith("failed")
        world.clock.advance(days=9)
        episode = _started(world)
        assert (episode.revision, episode.status) == ("r2", Status.STARTED)

    def test_going_back_to_the_old_one_is_a_change_too(self, world: World) -> None:
        for revision in ("r2", "r1", "r2", "r1"):
            _deploy(world, revision)
            _end(world, _started(world))
            world.clock.advance(days=31)
        _idle(world)
        assert len(world.pipelines.started) == 5

    def test_a_change_while_another_one_runs_has_its_turn(self, world: World) -> None:
        running = world.starter.handle(ex.request(Trigger.MANUAL, "second", world.clock.now()))
        _deploy(world, "r2")
        _idle(world)
        _end(world, running)
        world.clock.advance(days=6)  # two in a row have brought nothing
        assert _started(world).revision == "r2"

    @pytest.mark.parametrize("cause", ["refused", "deferred"])
    def test_an_answer_in_between_does_not_silence_it(self, world: World, cause: str) -> None:
        """Its own request of the same revision, or another one, may have been recorded without a retraining."""
        _deploy(world, "r2")
        world.ledger.set_pause(ex.NAME, Pause("ann", ex.START, "why"))
        for number in range(3):
            world.starter.handle(ex.request(Trigger.CODE, f"code@r2#{number}", world.clock.now()))
            world.clock.advance(hours=1)
        world.ledger.set_pause(ex.NAME, None)
        assert _started(world).revision == "r2"

    def test_a_stack_that_does_not_say_its_revision(self, world: World) -> None:
        _deploy(world, "")
        _idle(world)

    def test_a_retraining_of_which_nobody_knows_the_revision(self, world: World) -> None:
        """An older version of the kit did not write it down."""
        (first,) = world.ledger.episodes(ex.NAME, ex.START)
        assert world.ledger.move(replace(first, revision=""), first.status)
        _deploy(world, "r2")
        _idle(world)

    def test_a_model_file_that_does_not_listen_to_it(self, world: World) -> None:
        _deploy(world, "r2", ("data",))
        _idle(world)


def test_new_data_and_new_code_are_answered_by_one(world: World) -> None:
    _deploy(world, "r2")
    _labelled(world, 500)
    episode = _started(world)
    assert (episode.trigger, episode.revision) == (Trigger.DATA, "r2")
    _end(world, episode)
    world.clock.advance(days=20)
    _idle(world)
