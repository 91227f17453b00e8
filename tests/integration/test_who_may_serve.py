"""Versions that are broken and approved all the same are stopped by their rollout, and the champion serves on."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from driftloop.names import ModelNames
from driftloop.promotion.shift import MIN_ROWS, MIN_SAMPLES

from .broken import BROKEN, approved
from .examples import BEGIN, TRAIN, trips
from .kit import Kit

NAMES = ModelNames(TRAIN)
LINE = trips(BEGIN.replace(hour=0), 1, seed=5)[0][0]
CANARY = 0.1


def _failures(kit: Kit, requests: int) -> int:
    failed = 0
    for _ in range(requests):
        try:
            kit.predict(TRAIN, [LINE])
        except ClientError as error:
            if error.response["Error"]["Code"] != "ModelError":
                raise
            failed += 1
    return failed


@pytest.mark.parametrize("kind", list(BROKEN))
def test_a_broken_version_is_rolled_back_and_the_champion_serves_on(served: Kit, kind: str) -> None:
    champion = served.ledger.champion(TRAIN)
    assert champion
    served.client("cloudwatch").set_alarm_state(
        AlarmName=NAMES.alarm("errors"), StateValue="OK", StateReason="calm before it"
    )
    package = approved(served, TRAIN, kind)
    asked = failed = 0
    while served.endpoint(TRAIN)[0] == "Updating" and asked < 1000:
        asked, failed = asked + 50, failed + _failures(served, 50)
        served.move(served.now() + timedelta(minutes=1))
        served.settle()
    assert failed <= CANARY * asked, "no more than the share that tried it"
    assert (failed > 0) == (kind == "throws")
    assert served.endpoint(TRAIN) == ("InService", champion.config)
    assert served.ledger.champion(TRAIN) == champion
    described = served.client("sagemaker").describe_model_package(ModelPackageName=package)
    assert described["ModelApprovalStatus"] == "Rejected"
    assert _failures(served, 20) == 0


def test_a_version_that_answers_otherwise_than_before_the_gate_is_rolled_back(served: Kit) -> None:
    """It fails on nobody, and the gate has seen a small difference."""
    champion = served.ledger.champion(TRAIN)
    assert champion
    # Every hour for as long as the champion must have served.
    for hour in range(7 * MIN_SAMPLES + 2):
        served.predict(TRAIN, _lines(served.now(), MIN_ROWS, hour))
        served.settle()
        served.move(served.now() + timedelta(hours=1))
    described = served.client("sagemaker").describe_model_package(ModelPackageName=champion.package_arn)
    archive = described["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
    gate = f"evaluations/{TRAIN}/always-late/evaluation.json"
    served.put(gate, json.dumps({"difference": 0.02, "champion": {"model_data_url": archive}}).encode(), "artifacts")
    uri = f"s3://{served.bucket('artifacts')}/{gate}"
    package = approved(served, TRAIN, "always late", evaluation_uri=uri)
    minutes = 0
    while served.endpoint(TRAIN)[0] == "Updating" and minutes < 60:
        served.predict(TRAIN, _lines(served.now(), 200, 100 + minutes))
        served.settle()
        minutes += 1
        served.move(served.now() + timedelta(minutes=1))
        served.settle()
    assert served.endpoint(TRAIN) == ("InService", champion.config)
    assert served.ledger.champion(TRAIN) == champion
    described = served.client("sagemaker").describe_model_package(ModelPackageName=package)
    assert described["ModelApprovalStatus"] == "Rejected"
    assert NAMES.alarm("shift") in described["ApprovalDescription"]
    assert served.metric(TRAIN, "PredictionShift") > 1
    served.move(served.now() + timedelta(minutes=2))
    served.settle()
    assert served.waiting("rollout") == 0


def _lines(begin: datetime, rows: int, seed: int) -> list[str]:
    """Rows of the minutes since, with ids of their own."""
    return [line.replace("T", f"S{seed}-", 1) for line, _ in trips(begin, rows, seed=seed)]
