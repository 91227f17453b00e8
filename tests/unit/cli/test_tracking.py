"""Where the training runs go."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from driftloop.cli import tracking
from driftloop.names import MLFLOW_PARAMETER

from .conftest import Account, Run, refusal

APP = "arn:aws:sagemaker:eu-central-1:123456789012:mlflow-app/app-ABC"


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What was asked for; nothing is written."""
    asked: list[tuple[Any, ...]] = []

    def store(place: str, artifacts: Path | None, _runs: str) -> dict[str, int]:
        asked.append((place, artifacts))
        return {"created": 0}

    monkeypatch.setattr(tracking, "_store", store)
    monkeypatch.setattr(tracking, "_PYTHON", Path(sys.executable))
    return asked


def test_the_platforms_own_app_is_found(empty_account: Account, run: Run, places: list[tuple[Any, ...]]) -> None:
    empty_account.ssm.put_parameter(Name=MLFLOW_PARAMETER, Value=APP, Type="String")
    result = run("mlflow", "--aws")
    assert result.exit_code == 0, result.output
    assert places == [(APP, None)]
    assert result.output == f"{APP}: 0 created\n"


def test_without_one_it_says_how_to_get_one(empty_account: Account, run: Run, places: list[tuple[Any, ...]]) -> None:
    said = refusal(run("mlflow", "--aws"))
    assert said.startswith("no MLflow app is deployed to account 123456789012 in eu-central-1; ")
    assert "-c driftloop:mlflow=true" in said
    assert places == []


def test_two_places_are_refused(run: Run, places: list[tuple[Any, ...]]) -> None:
    result = run("mlflow", "--aws", "--tracking-uri", "http://127.0.0.1")
    assert result.exit_code == 2
    assert "give one of them" in result.stderr
    assert places == []
