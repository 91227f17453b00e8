"""Packages and endpoints.

moto keeps the records but has no UpdateEndpoint and no life of an endpoint: it is in service at once. So that call and
the errors of a busy endpoint are checked against the API's model with botocore's Stubber.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from driftloop.aws.hosting import SageMakerHosting
from driftloop.aws.removal import EndpointRemoval
from driftloop.ports import (
    Asynchronous,
    EndpointState,
    Hosting,
    Instances,
    NotFoundError,
    Package,
    RetryableError,
    RolloutPlan,
    Serverless,
    ServingPlan,
    TerminalError,
)
from driftloop.simulation.fakes import FakeHosting
from tests.contract.account import serving_role
from tests.contract.conftest import BOTH, EVERYWHERE
from tests.contract.twin.cloud import IMAGE, until
from tests.contract.twin.work import archive
from tests.fakes import examples as ex

CONFIG = f"{ex.BASE}-v1"
PLAN = ServingPlan(
    CONFIG, ex.ROLE, Instances("ml.m5.large", 1), "s3://live-bucket/capture", 100, "arn:aws:kms:x:1:key/1"
)
SERVERLESS = replace(PLAN, on=Serverless(2048, 5))
PLACE = f"s3://{ex.LIVE}/asynchronous/{ex.NAME}"


def register(sagemaker: Any, package: Package, group: str = ex.BASE) -> str:
    """Register a version as the pipeline does."""
    container = {
        "Image": package.image,
        "ModelDataUrl": package.model_data_url,
        "Environment": dict(package.environment),
    }
    answer = sagemaker.create_model_package(
        ModelPackageGroupName=group,
        ModelApprovalStatus=package.approval,
        CustomerMetadataProperties={name: value for name, value in package.properties.items() if value},
        InferenceSpecification={
            "Containers": [container],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
    )
    return str(answer["ModelPackageArn"])


@pytest.fixture
def package() -> Package:
    return ex.package(1, "episode-1")


Hosted = tuple[Hosting, Package]
"""What is tested, and a version that it knows."""


@pytest.fixture
def hosted(kind: str, aws: Callable[[str], Any], package: Package) -> Hosted:
    if kind == "fake":
        return FakeHosting(package), package
    if kind == "twin":
        # It really starts what is deployed.
        serving_role(aws)
        aws("s3").create_bucket(Bucket=ex.ARTIFACTS)
        content = archive("def model_fn(model_dir):\n    return None\n")
        aws("s3").put_object(Bucket=ex.ARTIFACTS, Key=package.model_data_url.rpartition("/")[2], Body=content)
        package = replace(package, image=IMAGE)
    sagemaker = aws("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName=ex.BASE)
    arn = register(sagemaker, package)
    assert arn.endswith(f":model-package/{ex.BASE}/1")
    return SageMakerHosting(sagemaker), replace(package, arn=arn)


def _asynchronous(aws: Callable[[str], Any]) -> ServingPlan:
    """With a topic, which SageMaker tries before it says yes."""
    topic = aws("sns").create_topic(Name="answered")["TopicArn"]
    return replace(PLAN, asynchronous=Asynchronous(f"{PLACE}/answers", f"{PLACE}/failures", topic))


def _without_people(package: Package) -> Package:
    """Who registered it is whoever runs the tests."""
    return replace(package, registered_by="", decided_by="")


def _settled(hosting: Hosting, kind: str) -> EndpointState:
    """The endpoint, when it has come up; that of the fake stays busy."""

    def look() -> EndpointState | None:
        state = hosting.endpoint(ex.BASE)
        return None if kind == "twin" and state and state.status == "Creating" else state

    found: EndpointState = until(look, 60)
    return found


@EVERYWHERE
class TestHosting:
    def test_a_version(self, hosted: Hosted) -> None:
        hosting, package = hosted
        assert _without_people(hosting.package(package.arn)) == package

    def test_a_version_that_is_gone(self, hosted: Hosted) -> None:
        hosting, package = hosted
        with pytest.raises(NotFoundError, match="does not exist"):
            hosting.package(f"{package.arn[:-1]}9")

    def test_the_version_of_an_episode(self, hosted: Hosted) -> None:
        hosting, package = hosted
        found = hosting.of_episode(ex.BASE, package.properties["episode_id"])
        assert found is not None
        assert _without_people(found) == package
        assert hosting.of_episode(ex.BASE, "another") is None

    def test_no_endpoint(self, hosted: Hosted) -> None:
        assert hosted[0].endpoint(ex.BASE) is None

    def test_an_endpoint_is_created_once(self, hosted: Hosted, kind: str) -> None:
        hosting, package = hosted
        for _ in range(2):
            hosting.prepare(package, PLAN)
            hosting.create(ex.BASE, CONFIG)
        state = _settled(hosting, kind)
        assert (state.config, state.failure) == (CONFIG, "")

    def test_a_serverless_endpoint_is_created_and_updated(self, hosted: Hosted, kind: str) -> None:
        hosting, package = hosted
        hosting.prepare(package, SERVERLESS)
        hosting.create(ex.BASE, CONFIG)
        assert _settled(hosting, kind).failure == ""
        if kind == "twin":
            hosting.prepare(package, replace(SERVERLESS, name=f"{CONFIG}0"))
            hosting.update(ex.BASE, f"{CONFIG}0", RolloutPlan(100, 0, (), guarded=False))
            until(lambda: hosting.endpoint(ex.BASE) and _settled(hosting, kind).config == f"{CONFIG}0", 60)

    @pytest.mark.parametrize("mode", ["realtime", "serverless", "asynchronous"])
    def test_an_endpoint_says_in_which_mode_it_is(
        self, hosted: Hosted, kind: str, aws: Callable[[str], Any], mode: str
    ) -> None:
        hosting, package = hosted
        plans = {"realtime": PLAN, "serverless": SERVERLESS, "asynchronous": _asynchronous(aws)}
        hosting.prepare(package, plans[mode])
        hosting.create(ex.BASE, CONFIG)
        state = _settled(hosting, kind)
        forgets = kind == "moto" and mode == "asynchronous"
        assert (state.mode, state.failure) == ("realtime" if forgets else mode, "")

    def test_an_asynchronous_endpoint_is_updated_like_one_on_instances(
        self, hosted: Hosted, kind: str, aws: Callable[[str], Any]
    ) -> None:
        hosting, package = hosted
        plan = _asynchronous(aws)
        hosting.prepare(package, plan)
        hosting.create(ex.BASE, CONFIG)
        _settled(hosting, kind)
        if kind == "twin":
            hosting.prepare(package, replace(plan, name=f"{CONFIG}0"))
            hosting.update(ex.BASE, f"{CONFIG}0", RolloutPlan(100, 0, ()))
            until(lambda: hosting.endpoint(ex.BASE) and _settled(hosting, kind).config == f"{CONFIG}0", 60)

    def test_an_endpoint_without_configuration_has_to_wait(self, hosted: Hosted) -> None:
        with pytest.raises(RetryableError):
            hosted[0].create(ex.BASE, CONFIG)

    def test_a_rejected_version(self, hosted: Hosted) -> None:
        hosting, package = hosted
        assert hosting.package(package.arn).approval_reason == ""
        hosting.reject(package.arn, "x" * 2000)
        found = hosting.package(package.arn)
        assert (found.approval, found.approval_reason) == ("Rejected", "x" * 1024)

    def test_a_version_that_is_gone_has_no_approval_to_take_back(self, hosted: Hosted) -> None:
        hosting, package = hosted
        hosting.reject(f"{package.arn[:-1]}9", "why")
        hosting.hold(f"{package.arn[:-1]}9", "why")
        assert _without_people(hosting.package(package.arn)) == package

    def test_a_version_that_waits_again(self, hosted: Hosted) -> None:
        hosting, package = hosted
        hosting.hold(package.arn, "a second person")
        found = hosting.package(package.arn)
        assert (found.approval, found.approval_reason) == ("PendingManualApproval", "a second person")

    def test_a_card_changes_nothing_else(self, hosted: Hosted, kind: str) -> None:
        hosting, package = hosted
        hosting.attach_card(package.arn, '{"intended_uses":{}}')
        if kind != "moto":  # which knows no cards, and forgets the approval in such an update
            found = hosting.package(package.arn)
            assert found.card == '{"intended_uses":{}}'
            assert replace(_without_people(found), card="") == package
        with pytest.raises(NotFoundError, match="does not exist"):
            hosting.attach_card(f"{package.arn[:-1]}9", "{}")

    def test_removing_can_be_repeated(self, hosted: Hosted, kind: str) -> None:
        hosting, package = hosted
        hosting.prepare(package, PLAN)
        hosting.create(ex.BASE, CONFIG)
        _settled(hosting, kind)
        for _ in range(2):
            hosting.remove(ex.BASE)
            assert hosting.endpoint(ex.BASE) is None
        for _ in range(2):
            hosting.retire(CONFIG)
        with pytest.raises(RetryableError):
            hosting.create(ex.BASE, CONFIG)


def test_what_is_created_is_encrypted_and_captured(aws: Callable[[str], Any], package: Package) -> None:
    sagemaker = aws("sagemaker")
    SageMakerHosting(sagemaker).prepare(package, PLAN)
    model = sagemaker.describe_model(ModelName=CONFIG)
    assert model["PrimaryContainer"]["ModelDataUrl"] == package.model_data_url
    assert model["PrimaryContainer"]["Environment"] == {"SAGEMAKER_PROGRAM": "inference.py"}
    config = sagemaker.describe_endpoint_config(EndpointConfigName=CONFIG)
    assert config["KmsKeyId"] == PLAN.kms_key_arn
    assert config["ProductionVariants"][0]["VariantName"] == "AllTraffic"
    capture = config["DataCaptureConfig"]
    assert (capture["EnableCapture"], capture["InitialSamplingPercentage"]) == (True, 100)
    assert capture["DestinationS3Uri"] == "s3://live-bucket/capture"
    assert [option["CaptureMode"] for option in capture["CaptureOptions"]] == ["Input", "Output"]
    assert capture["CaptureContentTypeHeader"] == {"CsvContentTypes": ["text/csv"]}


def test_nothing_captures_and_nothing_is_stored_without_instances(aws: Callable[[str], Any], package: Package) -> None:
    sagemaker = aws("sagemaker")
    SageMakerHosting(sagemaker).prepare(package, SERVERLESS)
    config = sagemaker.describe_endpoint_config(EndpointConfigName=CONFIG)
    variant = config["ProductionVariants"][0]
    assert variant["ServerlessConfig"] == {"MemorySizeInMB": 2048, "MaxConcurrency": 5}
    assert not {"InstanceType", "InitialInstanceCount"} & variant.keys()
    assert not config.get("KmsKeyId")
    assert not config["DataCaptureConfig"]


def test_answers_are_encrypted_and_told_where_requests_wait(aws: Callable[[str], Any], package: Package) -> None:
    sagemaker, plan = aws("sagemaker"), _asynchronous(aws)
    SageMakerHosting(sagemaker).prepare(package, plan)
    config = sagemaker.describe_endpoint_config(EndpointConfigName=CONFIG)
    assert config["KmsKeyId"] == PLAN.kms_key_arn
    assert plan.asynchronous
    assert config["AsyncInferenceConfig"]["OutputConfig"] == {
        "S3OutputPath": f"{PLACE}/answers",
        "S3FailurePath": f"{PLACE}/failures",
        "KmsKeyId": PLAN.kms_key_arn,
        "NotificationConfig": {"SuccessTopic": plan.asynchronous.topic_arn},
    }
    assert not config["DataCaptureConfig"]


def _stubbed(operation: str, expected: dict[str, Any] | None = None, error: str = "", message: str = "") -> Any:
    sagemaker = boto3.client("sagemaker")
    stubber = Stubber(sagemaker)
    if error:
        stubber.add_client_error(operation, error, message)
    else:
        stubber.add_response(operation, {"EndpointArn": "arn:aws:sagemaker:eu-central-1:1:endpoint/x"}, expected)
    stubber.activate()
    return sagemaker


@pytest.mark.parametrize(
    ("plan", "routing", "longest"),
    [
        (
            RolloutPlan(10, 600, ("a",)),
            {"Type": "CANARY", "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 10}},
            3600,
        ),
        (
            RolloutPlan(20, 1800, ("a",), linear=True),
            {"Type": "LINEAR", "LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 20}},
            7 * 1800,
        ),
        (RolloutPlan(100, 600, ("a",)), {"Type": "ALL_AT_ONCE"}, 3600),
    ],
)
def test_an_update_is_guarded_by_alarms(plan: RolloutPlan, routing: dict[str, Any], longest: int) -> None:
    expected = {
        "EndpointName": ex.BASE,
        "EndpointConfigName": CONFIG,
        "DeploymentConfig": {
            "BlueGreenUpdatePolicy": {
                "TrafficRoutingConfiguration": {**routing, "WaitIntervalInSeconds": plan.bake_seconds},
                "TerminationWaitInSeconds": plan.bake_seconds,
                "MaximumExecutionTimeoutInSeconds": longest,
            },
            "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "a"}]},
        },
    }
    hosting = SageMakerHosting(_stubbed("update_endpoint", expected))
    hosting.update(ex.BASE, CONFIG, plan)


def test_the_way_back_is_guarded_by_no_alarm() -> None:
    policy = {
        "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0},
        "TerminationWaitInSeconds": 0,
        "MaximumExecutionTimeoutInSeconds": 3600,
    }
    expected = {
        "EndpointName": ex.BASE, "EndpointConfigName": CONFIG, "DeploymentConfig": {"BlueGreenUpdatePolicy": policy},
    }  # fmt: skip
    SageMakerHosting(_stubbed("update_endpoint", expected)).update(ex.BASE, CONFIG, RolloutPlan(100, 0, ()))


def test_a_fleet_that_has_grown_is_followed_by_one_as_large() -> None:
    hosting = SageMakerHosting(
        _stubbed(
            "update_endpoint",
            {"EndpointName": ex.BASE, "EndpointConfigName": CONFIG, "RetainAllVariantProperties": True},
        )
    )
    hosting.update(ex.BASE, CONFIG, RolloutPlan(100, 0, (), keep_count=True, guarded=False))


def test_guardrails_are_for_instances_only() -> None:
    expected = {"EndpointName": ex.BASE, "EndpointConfigName": CONFIG}
    plan = RolloutPlan(100, 0, (), guarded=False)
    SageMakerHosting(_stubbed("update_endpoint", expected)).update(ex.BASE, CONFIG, plan)


@BOTH
def test_an_update_of_a_busy_endpoint_has_to_wait(kind: str, package: Package) -> None:
    fake = FakeHosting(package)
    fake.prepare(package, PLAN)
    fake.create(ex.BASE, CONFIG)
    busy = _stubbed("update_endpoint", error="ValidationException", message="Cannot update in-progress endpoint")
    hosting: Hosting = fake if kind == "fake" else SageMakerHosting(busy)
    with pytest.raises(RetryableError, match="update_endpoint"):
        hosting.update(ex.BASE, CONFIG, RolloutPlan(100, 600, ("a",)))


@pytest.mark.parametrize("missing", ["image", "model_data_url"])
def test_a_version_without_a_container_is_refused_when_it_is_to_serve(package: Package, missing: str) -> None:
    with pytest.raises(TerminalError, match="register it with an inference specification"):
        SageMakerHosting(None).prepare(replace(package, **{missing: ""}), PLAN)


def test_a_version_that_was_registered_without_a_container_is_read() -> None:
    sagemaker = boto3.client("sagemaker")
    stubber = Stubber(sagemaker)
    answer = {
        "ModelPackageName": "p", "ModelPackageArn": f"{ex.GROUP_ARN}/7", "ModelPackageGroupName": ex.BASE,
        "ModelPackageVersion": 7, "ModelApprovalStatus": "PendingManualApproval", "CreationTime": ex.START,
        "ModelPackageStatus": "Completed", "ModelPackageStatusDetails": {"ValidationStatuses": []},
    }  # fmt: skip
    stubber.add_response("describe_model_package", answer, {"ModelPackageName": f"{ex.GROUP_ARN}/7"})
    with stubber:
        package = SageMakerHosting(sagemaker).package(f"{ex.GROUP_ARN}/7")
    assert (package.version, package.image, package.model_data_url) == (7, "", "")


def test_a_model_that_cannot_be_created_is_an_error(package: Package) -> None:
    refused = _stubbed("create_model", error="ValidationException", message="Could not access model data")
    with pytest.raises(TerminalError, match="Could not access model data"):
        SageMakerHosting(refused).prepare(package, PLAN)


def test_an_endpoint_that_cannot_be_deleted_now_has_to_wait() -> None:
    busy = _stubbed("delete_endpoint", error="ResourceInUse", message="Cannot delete a creating endpoint")
    with pytest.raises(RetryableError, match="delete_endpoint"):
        SageMakerHosting(busy).remove(ex.BASE)


@pytest.mark.parametrize("operation", ["describe_endpoint", "delete_endpoint_config", "describe_model_package"])
def test_no_permission_is_not_absence(operation: str, package: Package) -> None:
    hosting = SageMakerHosting(_stubbed(operation, error="AccessDeniedException", message="not authorized"))
    calls: dict[str, Callable[[], object]] = {
        "describe_endpoint": lambda: hosting.endpoint(ex.BASE),
        "delete_endpoint_config": lambda: hosting.retire(CONFIG),
        "describe_model_package": lambda: hosting.package(package.arn),
    }
    with pytest.raises(ClientError, match="not authorized"):
        calls[operation]()


def test_a_silent_rollback_is_in_the_state() -> None:
    sagemaker = boto3.client("sagemaker")
    stubber = Stubber(sagemaker)
    state = EndpointState("InService", "old", "alarm", ex.START + timedelta(hours=1))
    answer = {
        "EndpointName": ex.BASE, "EndpointArn": "arn:aws:sagemaker:eu-central-1:1:endpoint/x", "EndpointConfigName": "old",
        "EndpointStatus": "InService", "FailureReason": "alarm", "CreationTime": ex.START, "LastModifiedTime": ex.START + timedelta(hours=1),
    }  # fmt: skip
    stubber.add_response("describe_endpoint", answer)
    with stubber:
        assert SageMakerHosting(sagemaker).endpoint(ex.BASE) == state


class TestRemoval:
    """What the custom resource of a model's stack does."""

    def _deploy(self, sagemaker: Any, base: str, *versions: int) -> None:
        hosting = SageMakerHosting(sagemaker)
        for version in versions:
            hosting.prepare(ex.package(version), replace(PLAN, name=f"{base}-v{version}"))
        hosting.create(base, f"{base}-v{versions[0]}")

    def _names(self, sagemaker: Any) -> dict[str, list[str]]:
        return {
            "endpoints": [e["EndpointName"] for e in sagemaker.list_endpoints()["Endpoints"]],
            "configs": [c["EndpointConfigName"] for c in sagemaker.list_endpoint_configs()["EndpointConfigs"]],
            "models": [m["ModelName"] for m in sagemaker.list_models()["Models"]],
        }

    def test_what_the_loop_made_goes_and_nothing_else(self, aws: Callable[[str], Any]) -> None:
        sagemaker = aws("sagemaker")
        neighbours = ("driftloop-a-v2", "driftloop-a-vienna", "driftloop-ba")
        for base in neighbours:
            self._deploy(sagemaker, base, 1)
        before = self._names(sagemaker)
        self._deploy(sagemaker, "driftloop-a", 1, 2, 13)
        removed = EndpointRemoval(sagemaker).remove("driftloop-a")
        assert self._names(sagemaker) == before
        assert removed == [
            "endpoint driftloop-a",
            *(f"endpoint_config driftloop-a-v{number}" for number in (1, 2, 13)),
            *(f"model driftloop-a-v{number}" for number in (1, 2, 13)),
        ]

    def test_packages_go_with_their_group(self) -> None:
        """moto cannot delete model packages."""
        sagemaker = boto3.client("sagemaker")
        stubber = Stubber(sagemaker)
        gone: Any = {"service_error_code": "ValidationException", "service_message": "Could not find it."}
        for operation in ("delete_endpoint", "describe_endpoint"):
            stubber.add_client_error(operation, **gone)
        stubber.add_response("list_endpoint_configs", {"EndpointConfigs": []})
        stubber.add_response("list_models", {"Models": []})
        arns = [f"{ex.GROUP_ARN}/{number}" for number in (1, 2)]
        fixed = {"CreationTime": 0, "ModelPackageStatus": "Completed"}
        summaries = [{"ModelPackageArn": arn, **fixed} for arn in arns]
        stubber.add_response(
            "list_model_packages", {"ModelPackageSummaryList": summaries}, {"ModelPackageGroupName": ex.BASE}
        )
        stubber.add_response("delete_model_package", {}, {"ModelPackageName": arns[0]})
        stubber.add_client_error("delete_model_package", **gone)
        with stubber:
            assert EndpointRemoval(sagemaker).remove(ex.BASE) == [f"model package {arns[0]}"]
        stubber.assert_no_pending_responses()

    def test_it_can_be_repeated_and_needs_nothing_to_be_there(self, aws: Callable[[str], Any]) -> None:
        sagemaker = aws("sagemaker")
        assert EndpointRemoval(sagemaker).remove("driftloop-never-deployed") == []
        self._deploy(sagemaker, "driftloop-a", 1)
        assert EndpointRemoval(sagemaker).remove("driftloop-a") != []
        assert EndpointRemoval(sagemaker).remove("driftloop-a") == []

    def test_an_endpoint_that_does_not_go_is_an_error(self, aws: Callable[[str], Any]) -> None:
        sagemaker = aws("sagemaker")
        self._deploy(sagemaker, "driftloop-a", 1)
        with pytest.raises(TimeoutError, match="still there after 0 s"):
            EndpointRemoval(sagemaker, wait_seconds=0).remove("driftloop-a")


def test_a_card_is_a_draft_and_names_no_approval() -> None:
    card = {"ModelCardContent": "{}", "ModelCardStatus": "Draft"}
    arn, sagemaker = f"{ex.GROUP_ARN}/7", boto3.client("sagemaker")
    with Stubber(sagemaker) as stubber:
        stubber.add_response(
            "update_model_package", {"ModelPackageArn": arn}, {"ModelPackageArn": arn, "ModelCard": card}
        )
        SageMakerHosting(sagemaker).attach_card(arn, "{}")
        stubber.assert_no_pending_responses()
