"""Versions that are broken and approved all the same are stopped by their rollout, and the champion serves on."""

from __future__ import annotations

from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

from driftloop.names import ModelNames

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
