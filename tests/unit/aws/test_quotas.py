"""SageMaker has no room: what it says is kept, and told from what no waiting helps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from driftloop.aws.hosting import SageMakerHosting
from driftloop.ports import Instances, QuotaError, RetryableError, RolloutPlan, ServingPlan, TerminalError
from tests.fakes import examples as ex

CONFIG = f"{ex.BASE}-v1"
PLAN = ServingPlan(
    CONFIG, ex.ROLE, Instances("ml.m5.large", 1), "s3://live-bucket/capture", 100, "arn:aws:kms:x:1:key/1"
)
LIMIT = (
    "The account-level service limit 'ml.m5.large for endpoint usage' is 0 Instances, with current utilization of 0 "
    "Instances and a request delta of 1 Instances. Please use AWS Service Quotas to request an increase for this quota."
)
CALLS: dict[str, Callable[[SageMakerHosting], None]] = {
    "create_model": lambda hosting: hosting.prepare(ex.package(), PLAN),
    "create_endpoint_config": lambda hosting: hosting.prepare(ex.package(), PLAN),
    "create_endpoint": lambda hosting: hosting.create(ex.BASE, CONFIG),
    "update_endpoint": lambda hosting: hosting.update(ex.BASE, CONFIG, RolloutPlan(100, 600, ())),
}


def _refused(operation: str, code: str, message: str) -> SageMakerHosting:
    sagemaker: Any = boto3.client("sagemaker")
    stubber = Stubber(sagemaker)
    if operation == "create_endpoint_config":
        stubber.add_response("create_model", {"ModelArn": "arn:aws:sagemaker:eu-central-1:123456789012:model/x"})
    stubber.add_client_error(operation, code, message)
    stubber.activate()
    return SageMakerHosting(sagemaker)


@pytest.mark.parametrize("operation", CALLS)
def test_a_quota_is_waited_for_and_named(operation: str) -> None:
    with pytest.raises(QuotaError, match=f"^{operation}: .*'ml.m5.large for endpoint usage' is 0 Instances"):
        CALLS[operation](_refused(operation, "ResourceLimitExceeded", LIMIT))


@pytest.mark.parametrize("operation", CALLS)
def test_other_refusals_are_no_quota(operation: str) -> None:
    with pytest.raises((RetryableError, TerminalError), match="not authorized") as caught:
        CALLS[operation](_refused(operation, "AccessDeniedException", "not authorized"))
    assert not isinstance(caught.value, QuotaError)
