"""Versions that are broken and approved all the same are stopped by their rollout, and the champion serves on."""

from __future__ import annotations

import io
import tarfile
from datetime import timedelta
from functools import cache

import pytest
from botocore.exceptions import ClientError

from driftloop.names import ModelNames

from .examples import BEGIN, TRAIN, trips
from .kit import Kit

NAMES = ModelNames(TRAIN)
LINE = trips(BEGIN.replace(hour=0), 1, seed=5)[0][0]
CANARY = 0.1
BROKEN = {
    "throws": "\n\ndef predict_fn(request, predictor):\n    raise RuntimeError('broken')\n",
    "cannot be loaded": "\n\nraise ImportError('no module named yesterday')\n",
}


@cache
def _archive(kit: Kit, kind: str) -> str:
    """URI of the champion's archive with another inference.py."""
    champion = kit.ledger.champion(TRAIN)
    assert champion
    described = kit.client("sagemaker").describe_model_package(ModelPackageName=champion.package_arn)
    uri = described["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
    key = uri.partition(f"{kit.bucket('artifacts')}/")[2]
    out = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(kit.read(key, "artifacts"))) as old,
        tarfile.open(fileobj=out, mode="w:gz") as new,
    ):
        for member in old:
            content = old.extractfile(member)
            text = content.read() if content else b""
            if member.name.endswith("code/inference.py"):
                text += BROKEN[kind].encode()
                member.size = len(text)
            new.addfile(member, io.BytesIO(text))
    broken = f"models/{TRAIN}/{kind.replace(' ', '-')}/model.tar.gz"
    kit.put(broken, out.getvalue(), "artifacts")
    return f"s3://{kit.bucket('artifacts')}/{broken}"


def _approved(kit: Kit, kind: str) -> str:
    """ARN of a version that a person registers and approves without looking."""
    champion = kit.ledger.champion(TRAIN)
    assert champion
    found = kit.client("sagemaker").describe_model_package(ModelPackageName=champion.package_arn)
    container = found["InferenceSpecification"]["Containers"][0]
    container = {
        "Image": container["Image"],
        "Environment": container["Environment"],
        "ModelDataUrl": _archive(kit, kind),
    }
    answer = kit.client("sagemaker").create_model_package(
        ModelPackageGroupName=NAMES.base, ModelApprovalStatus="Approved",
        InferenceSpecification={**found["InferenceSpecification"], "Containers": [container]},
        CustomerMetadataProperties={**found["CustomerMetadataProperties"], "episode_id": "manual"},
    )  # fmt: skip
    kit.settle()
    return str(answer["ModelPackageArn"])


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
    package = _approved(served, kind)
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
