"""A version is the shadow of the one that serves before anybody hears it, and what it answers decides."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from driftloop.names import ModelNames, shadow_config

from .broken import approved
from .examples import BEGIN, METRO, train_history, trips
from .kit import Kit

NAMES = ModelNames(METRO)
DAY = BEGIN.replace(hour=0)


@pytest.fixture(scope="module")
def metro(kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> Kit:
    """A kit in which the metro's first version serves."""
    file = tmp_path_factory.mktemp("history") / "trips.csv"
    file.write_text(train_history())
    kit.done("history", "import", METRO, file)
    episode = kit.retrain(METRO, "the first version")
    assert episode.status == "promoted", episode
    return kit


def _pass(kit: Kit, **period: float) -> None:
    kit.move(kit.now() + timedelta(**period))
    kit.settle()


def _ask(kit: Kit, number: int) -> None:
    """Forty requests, all of which are answered whatever the shadow does."""
    for line in [line.replace("T", f"S{number}-", 1) for line, _ in trips(DAY, 40, seed=number)]:
        assert len(kit.predict(METRO, [line])) == 1
    kit.settle()


def _report(kit: Kit, number: int) -> dict[str, object]:
    report: dict[str, object] = json.loads(kit.done("shadow", METRO, "--version", number, "--json"))
    return report


def test_a_sound_version_serves_after_its_time(metro: Kit) -> None:
    counted = metro.metric(METRO, "RowsCounted")
    approved(metro, METRO, "a copy")
    _pass(metro, minutes=5)
    assert metro.endpoint(METRO) == ("InService", shadow_config(NAMES.version(2), NAMES.version(1)))
    _ask(metro, 2)
    _pass(metro, hours=1, minutes=10)
    assert _report(metro, 2)["over"] is False
    assert metro.metric(METRO, "RowsCounted") == counted + 40, "answers of the shadow are no traffic"
    for _ in range(2):
        # The schedule's hour may be just over when the shadow's time is.
        _pass(metro, hours=1)
    for _ in range(10):
        _pass(metro, minutes=2)
    champion = metro.ledger.champion(METRO)
    assert champion
    assert champion.version == 2
    assert metro.endpoint(METRO) == ("InService", NAMES.version(2))
    report = _report(metro, 2)
    assert (report["over"], report["verdict"]) == (True, "serve")
    assert report["pairs"]["rows"] == 40  # type: ignore[index]
    assert report["pairs"]["mean_difference"] == 0  # type: ignore[index]
    assert report["served"] == {**report["shadow"], "latency": report["served"]["latency"]}  # type: ignore[dict-item, index]
    assert "40 rows that both answered" in metro.done("shadow", METRO)


@pytest.mark.parametrize(
    ("number", "kind", "why"),
    [(3, "throws", "failed on 40 of 40 requests"), (4, "the opposite", "answers to the same 40 rows differ by")],
)
def test_a_bad_version_goes_before_anybody_has_heard_it(metro: Kit, number: int, kind: str, why: str) -> None:
    gate = f"evaluations/{METRO}/by-hand/evaluation.json"
    champion = metro.ledger.champion(METRO)
    assert champion
    serving = metro.client("sagemaker").describe_model_package(ModelPackageName=champion.package_arn)
    archive = serving["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
    evaluation = {"difference": 0.01, "champion": {"model_data_url": archive}}
    metro.put(gate, json.dumps(evaluation).encode(), "artifacts")
    package = approved(metro, METRO, kind, evaluation_uri=f"s3://{metro.bucket('artifacts')}/{gate}")
    _pass(metro, minutes=5)
    assert metro.endpoint(METRO) == ("InService", shadow_config(NAMES.version(number), NAMES.version(2)))
    _ask(metro, number)
    for _ in range(3):
        _pass(metro, hours=1)
    _pass(metro, minutes=10)
    assert metro.endpoint(METRO) == ("InService", NAMES.version(2))
    described = metro.client("sagemaker").describe_model_package(ModelPackageName=package)
    assert described["ModelApprovalStatus"] == "Rejected"
    assert why in described["ApprovalDescription"]
    assert _report(metro, number)["reason"] == described["ApprovalDescription"]
    assert metro.ledger.champion(METRO) == champion
    configs = metro.client("sagemaker").list_endpoint_configs(NameContains=NAMES.base)["EndpointConfigs"]
    assert {config["EndpointConfigName"] for config in configs} == {NAMES.version(1), NAMES.version(2)}
    _ask(metro, number + 10)
