"""Custom resource of a model's stack: when the stack goes, what the loop deployed goes first."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from driftloop.aws import wiring
from driftloop.aws.clients import client
from driftloop.aws.removal import EndpointRemoval
from driftloop.loop.forget_model import Forgetter
from driftloop.names import model_of_endpoint

logger = Logger(service="remove_endpoint")


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Answer CloudFormation in every case: a stack that waits for an answer hangs for an hour."""
    status, reason = "SUCCESS", ""
    try:
        if event["RequestType"] == "Delete":
            base = event["ResourceProperties"]["BaseName"]
            wiring.scaler().stop(base)
            removed = EndpointRemoval(client("sagemaker")).remove(base)
            Forgetter(wiring.ledger(), wiring.announcer(), wiring.CLOCK).forget(model_of_endpoint(base))
            logger.info("removed", removed=removed)
    except Exception as error:
        logger.exception("removal failed")
        status, reason = "FAILED", f"{type(error).__name__}: {error}"[:1000]
    _answer(event, status, reason)


def _answer(event: dict[str, Any], status: str, reason: str) -> None:
    same = {key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")}
    physical = event.get("PhysicalResourceId") or event.get("ResourceProperties", {}).get("BaseName", "endpoint")
    body = json.dumps({**same, "Status": status, "Reason": reason, "PhysicalResourceId": physical}).encode()
    request = urllib.request.Request(event["ResponseURL"], data=body, method="PUT", headers={"Content-Type": ""})  # noqa: S310
    with urllib.request.urlopen(request, timeout=20):  # noqa: S310 - the address is CloudFormation's own
        pass
