"""One deployed kit for all tests here. They run in order of file name; removal comes last."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from driftloop.cli import twins
from driftloop.twin import lifecycle
from driftloop.twin.lifecycle import Twin

from .examples import BEGIN, TRAIN, train_history, write_models
from .kit import NAME, Kit

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them need a twin."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.twin)


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    """Deployed by ``driftloop deploy`` with models of its own."""
    place = tmp_path_factory.mktemp("twins")
    models = write_models(tmp_path_factory.mktemp("models"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(twins, "TWINS", place)
        # Attached: it ends with this process, however that happens.
        lifecycle.start(place / NAME, begin=BEGIN, attached=True)
        twin = Twin.find(place / NAME)
        assert twin
        try:
            kit = Kit(twin)
            kit.listen()
            kit.done("deploy", "--name", NAME, "-c", f"driftloop:models={models}")
            yield kit
        finally:
            twin.stop()


@pytest.fixture(scope="session")
def served(kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> Kit:
    """A kit whose first version serves: history imported, a retraining asked for, its version promoted."""
    file = tmp_path_factory.mktemp("history") / "trips.csv"
    file.write_text(train_history())
    kit.done("history", "import", TRAIN, file)
    episode = kit.retrain(TRAIN, "the first version")
    assert episode.status == "promoted", episode
    return kit
