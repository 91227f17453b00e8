"""One deployed kit for all tests here, in a twin that keeps its state. They tell one story, in order."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from random import Random, SystemRandom
from textwrap import dedent

import pytest

from driftloop.cli import twins
from driftloop.twin import lifecycle
from driftloop.twin.lifecycle import Twin
from tests.integration.examples import BEGIN, MODEL_FILES, TRAIN, train_history
from tests.integration.kit import Kit

from .chaos import SEED, Chaos

NAME = "killed"
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them need a twin."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.twin)


@pytest.fixture
def random(request: pytest.FixtureRequest) -> Random:
    """What decides where a test kills. Its seed is shown if the test fails."""
    seed = os.environ.get(SEED) or str(SystemRandom().randrange(10**6))
    print(f"{SEED}={seed} repeats this")
    return Random(f"{seed} {request.node.name}")  # noqa: S311 - nothing is hidden by it


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Kit]]:
    """A kit whose first version serves; the twin is another one after each kill."""
    place, models = tmp_path_factory.mktemp("twins"), tmp_path_factory.mktemp("models")
    (models / TRAIN).mkdir()
    text = MODEL_FILES[TRAIN].replace("cooldown: 0s", "cooldown: 0s, budget: {per_day: 50, per_month: 50}")
    # One instance: a rollout has one phase, so that more of them fit between the kills.
    text = text.replace("count: 2", "count: 1")
    (models / TRAIN / "model.yaml").write_text(dedent(text))
    history = place / "trips.csv"
    history.write_text(train_history())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(twins, "TWINS", place)
        lifecycle.start(place / NAME, begin=BEGIN, attached=True, keep=True)
        twin = Twin.find(place / NAME)
        assert twin
        try:
            kit = Kit(twin)
            kit.done("deploy", "--name", NAME, "-c", f"driftloop:models={models}")
            kit.done("history", "import", TRAIN, history)
            assert kit.retrain(TRAIN, "the first version").status == "promoted"
            yield [kit]
        finally:
            if found := Twin.find(place / NAME):
                found.stop()


@pytest.fixture
def chaos(deployed: list[Kit], random: Random) -> Iterator[Chaos]:
    """The kit, and the means to kill its processes."""
    made = Chaos(deployed[0], random)
    yield made
    deployed[0] = made.kit
