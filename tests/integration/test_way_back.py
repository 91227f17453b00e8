"""A version that serves is rejected by a person, and the one before serves again."""

from __future__ import annotations

import json
from datetime import timedelta

from driftloop.loop.announce import VERSION_CHANGED
from driftloop.names import ModelNames

from .examples import BEGIN, TRAIN, trips
from .kit import Kit

NAMES = ModelNames(TRAIN)


def _decide(kit: Kit, package_arn: str, approval: str) -> None:
    kit.client("sagemaker").update_model_package(ModelPackageArn=package_arn, ModelApprovalStatus=approval)
    kit.settle()
    kit.move(kit.now() + timedelta(minutes=45))
    kit.settle()


def _registered_again(kit: Kit, package_arn: str) -> str:
    """The same version under the next number, as a person registers one by hand."""
    sagemaker = kit.client("sagemaker")
    found = sagemaker.describe_model_package(ModelPackageName=package_arn)
    container = {
        name: found["InferenceSpecification"]["Containers"][0][name]
        for name in ("Image", "ModelDataUrl", "Environment")
    }
    specification = {**found["InferenceSpecification"], "Containers": [container]}
    return str(
        sagemaker.create_model_package(
            ModelPackageGroupName=NAMES.base, InferenceSpecification=specification, ModelApprovalStatus="PendingManualApproval",
            CustomerMetadataProperties={**found["CustomerMetadataProperties"], "episode_id": "manual"},
        )["ModelPackageArn"]
    )  # fmt: skip


def _serving(kit: Kit) -> tuple[int, tuple[str, str]]:
    champion = kit.ledger.champion(TRAIN)
    assert champion
    return champion.version, kit.endpoint(TRAIN)


def test_a_person_rolls_back_and_forth(served: Kit) -> None:
    first = served.ledger.champion(TRAIN)
    assert first
    second = _registered_again(served, first.package_arn)
    served.client("cloudwatch").set_alarm_state(
        AlarmName=NAMES.alarm("errors"), StateValue="OK", StateReason="calm again"
    )
    _decide(served, second, "Approved")
    assert _serving(served) == (3, ("InService", NAMES.version(3)))

    # The alarm that rings for the bad version does not stop the way back from it.
    served.client("cloudwatch").set_alarm_state(
        AlarmName=NAMES.alarm("errors"), StateValue="ALARM", StateReason="it fails"
    )
    told = json.loads(served.done("rollback", TRAIN, "--reason", "it answers nonsense", "--json"))
    assert (told["from"], told["to"], told["rejected"]) == (3, 1, second)
    served.settle()
    served.move(served.now() + timedelta(minutes=45))
    served.settle()
    assert _serving(served) == (1, ("InService", NAMES.version(1)))
    champion = served.ledger.champion(TRAIN)
    assert champion
    assert champion.baseline_uri == first.baseline_uri
    assert [(one.version) for one in served.ledger.served(TRAIN)] == [1, 3, 1]
    package = served.client("sagemaker").describe_model_package(ModelPackageName=second)
    assert package["ModelApprovalStatus"] == "Rejected"
    assert package["ApprovalDescription"].startswith("it answers nonsense (arn:aws:")
    changes = [event for event in served.heard(VERSION_CHANGED) if event["model"] == TRAIN]
    assert [event["version"] for event in changes if "rolled_back" not in event] == [1, 3, 1]
    assert len(served.predict(TRAIN, [line for line, _ in trips(BEGIN.replace(hour=0), 3, seed=5)])) == 3


def test_there_is_nothing_to_go_back_to_twice(served: Kit) -> None:
    again = served.run("rollback", TRAIN, "--reason", "once more")
    assert again.exit_code == 1
    assert f"version 3 of {TRAIN}, which served before, is Rejected: approve it first" in again.output
    assert _serving(served)[0] == 1
