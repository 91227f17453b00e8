from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from moto.server import ThreadedMotoServer

from driftloop.data.rows import select
from driftloop.data.tables import write_table
from pipelines.steps import train
from tests.unit.steps.cloud import Cloud
from tests.unit.steps.examples import PER_DAY, SCHEMA, SPEC, TRAINING_DAYS, WINDOWS, pack, rows
from tests.unit.steps.steps_zip import build_zip

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    yield f"http://{host}:{port}"
    moto.stop()


@pytest.fixture(scope="module")
def cloud(server: str) -> Cloud:
    return Cloud(server)


@pytest.fixture
def aws(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """The cloud for steps that run in this process."""
    for name, value in cloud.environment.items():
        monkeypatch.setenv(name, value)
    return cloud


@pytest.fixture(scope="session")
def steps_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_zip(tmp_path_factory.mktemp("code") / "0123abcd.zip")


@pytest.fixture(scope="session")
def spec_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spec")
    (folder / "4567ef.json").write_text(json.dumps(SPEC))
    return folder


@pytest.fixture(scope="module")
def run_step(cloud: Cloud, steps_zip: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run one step as its job does: the zip, no source tree on the path, nothing else in the environment."""
    home = tmp_path_factory.mktemp("home")

    def run(step: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "error", str(steps_zip), step, *map(str, arguments)],
            cwd=home, env=cloud.environment, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    return run


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, spec_dir: Path) -> Path:
    """What the training step wrote: model/ and archive/model.tar.gz."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "training").mkdir()
    columns = select(rows(), np.arange(TRAINING_DAYS * PER_DAY))
    (folder / "training" / "rows.csv").write_bytes(write_table(SCHEMA, columns))
    arguments = ["--spec", spec_dir, "--training", folder / "training", *WINDOWS, "--manifest-sha256", "ab" * 32]
    status = train.main([str(a) for a in (*arguments, "--model", folder / "model", "--message", folder / "failure")])
    assert status == 0, (folder / "failure").read_text()
    pack(folder / "model", folder / "archive" / "model.tar.gz")
    return folder
