"""Asynchronous endpoints: requests that wait in S3 for the model, and results that are written there and told.

Known to differ: requests are answered one by one, in their order; a metric of the queue is put when the queue changes,
instead of every minute; the reason of a failure says what the model said, where SageMaker points to the endpoint's log.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from driftloop.twin.errors import ApiError, invalid, unsupported
from driftloop.twin.fleets import Version
from driftloop.twin.jobs import Platform
from driftloop.twin.model_process import Reply
from driftloop.twin.requests import check_request, only
from driftloop.twin.storage import split_uri

Request = Mapping[str, Any]
Ask = Callable[[bytes], Reply]
"""Asks the model. Raises ApiError."""
Count = Callable[..., None]
"""(metric, value) -> None; without a value it is 1."""

_OPERATION = "InvokeEndpointAsync"
_TOLD = {"eventVersion": "1.0", "eventSource": "aws:sagemaker"}


@dataclass(frozen=True)
class Waiting:
    """One request in the queue of an endpoint."""

    endpoint: str
    request: Request
    inference_id: str
    received: float
    output: str
    """Where its result will be."""
    failure: str
    """Where it will be said what went wrong; empty for nowhere."""
    config: Request
    """OutputConfig by which it was taken."""


@dataclass
class Backlog:
    """Requests of an endpoint that have no result yet, oldest first."""

    waiting: list[Waiting] = field(default_factory=list)
    is_served: bool = False
    """True while a thread works on them."""


class NoResultError(Exception):
    """Why a request has no result."""

    def __init__(self, reason: str, metric: str = "", body: bytes = b"") -> None:
        super().__init__(f"ClientError: {reason}")
        self.metric, self.body = metric, body or str(self).encode()


def check_config(request: Request) -> None:
    """Raise ApiError for an AsyncInferenceConfig that SageMaker refuses or the twin does not do."""
    config = request.get("AsyncInferenceConfig")
    if not config:
        return
    if any("ServerlessConfig" in variant for variant in request["ProductionVariants"]):
        raise invalid("AsyncInferenceConfig is for endpoints on instances; a serverless variant cannot have it.")
    if request.get("DataCaptureConfig", {}).get("EnableCapture"):
        raise invalid("Data capture is not there for endpoints with an AsyncInferenceConfig.")
    output = config["OutputConfig"]
    if "S3OutputPath" not in output:
        raise unsupported("an AsyncInferenceConfig without S3OutputPath")
    for name in ("S3OutputPath", "S3FailurePath"):
        if name in output:
            split_uri(output[name])
    only("NotificationConfig", output.get("NotificationConfig", {}), {"SuccessTopic", "ErrorTopic"})


def accept(endpoint: str, version: Version, request: Request) -> Waiting:
    """Take a request for the queue. Raises ApiError."""
    if not version.asynchronous:
        raise ApiError("ValidationError", f"Endpoint {endpoint} is not asynchronous; ask it with InvokeEndpoint.")
    only(_OPERATION, request, {"EndpointName", "InputLocation", "ContentType", "Accept", "InferenceId"})
    check_request("sagemaker-runtime", _OPERATION, request)
    split_uri(request["InputLocation"])
    config, name = version.asynchronous["OutputConfig"], uuid.uuid4()
    failures = f"{config['S3FailurePath'].rstrip('/')}/{name}-error.out" if "S3FailurePath" in config else ""
    return Waiting(
        endpoint, request, request.get("InferenceId") or str(uuid.uuid4()), time.time(),
        f"{config['S3OutputPath'].rstrip('/')}/{name}.out", failures, config,
    )  # fmt: skip


class Answerer:
    """Brings requests to their results, with the permissions of the model's role."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def test(self, version: Version) -> None:
        """Tell the topics that an endpoint begins, as SageMaker does. Raises ApiError if the role may not."""
        topics = (version.asynchronous or {}).get("OutputConfig", {}).get("NotificationConfig", {})
        for topic in sorted(set(topics.values())):
            try:
                self._publish(version.role_arn, topic, _TOLD | {"eventName": "TestNotification"})
            except (ClientError, BotoCoreError) as error:
                raise invalid(
                    f"The provided role {version.role_arn} is invalid. Please ensure that it has "
                    f'"sns:Publish" permissions for topic {topic}: {error}'
                ) from error

    def answer(self, waiting: Waiting, role_arn: str, ask: Ask, count: Count) -> None:
        """Ask the model, write its answer or why there is none, and tell the topic. Never raises."""
        count("TimeInBacklog", (time.time() - waiting.received) * 1e6)
        try:
            reply = self._result(waiting, role_arn, ask, count)
        except Exception as error:
            failure = error if isinstance(error, NoResultError) else NoResultError(f"{type(error).__name__}: {error}")
            self._fail(waiting, role_arn, failure, count)
        else:
            parameters = {"contentType": reply.content_type, "outputLocation": waiting.output}
            outcome = {"invocationStatus": "Completed", "responseParameters": parameters}
            self._tell(waiting, role_arn, "SuccessTopic", outcome, count)
        count("InvocationsProcessed")
        count("TotalProcessingTime", (time.time() - waiting.received) * 1e3)

    def _result(self, waiting: Waiting, role_arn: str, ask: Ask, count: Count) -> Reply:
        store, begun = self._platform.store(role_arn, "SageMaker"), time.perf_counter()
        try:
            body = store.read(waiting.request["InputLocation"])
        except ApiError as error:
            raise NoResultError(f"The request could not be downloaded: {error}", "RequestDownloadFailures") from error
        count("RequestDownloadLatency", (time.perf_counter() - begun) * 1e6)
        try:
            reply = ask(body)
        except ApiError as error:
            raise NoResultError(str(error)) from error
        if reply.status >= 400:
            side = "server" if reply.status >= 500 else "client"
            said = reply.body.decode(errors="replace").partition("\n")[0][:500]
            reason = f'Received {side} error ({reply.status}) from model with message "{said}".'
            raise NoResultError(reason, body=reply.body)
        begun = time.perf_counter()
        try:
            store.write(waiting.output, reply.body, waiting.config.get("KmsKeyId", ""))
        except ClientError as error:
            raise NoResultError(f"The response could not be uploaded: {error}", "ResponseUploadFailures") from error
        count("ResponseUploadLatency", (time.perf_counter() - begun) * 1e6)
        return reply

    def _fail(self, waiting: Waiting, role_arn: str, failure: NoResultError, count: Count) -> None:
        for metric in filter(None, ("InvocationFailures", failure.metric)):
            count(metric)
        if waiting.failure:
            try:
                store = self._platform.store(role_arn, "SageMaker")
                store.write(waiting.failure, failure.body, waiting.config.get("KmsKeyId", ""))
            except (ClientError, BotoCoreError):
                if not failure.metric:
                    count("ResponseUploadFailures")
        outcome = {"invocationStatus": "Failed", "failureReason": str(failure)}
        self._tell(waiting, role_arn, "ErrorTopic", outcome, count)

    def _tell(self, waiting: Waiting, role_arn: str, topic: str, outcome: Request, count: Count) -> None:
        arn = waiting.config.get("NotificationConfig", {}).get(topic)
        if not arn:
            return
        names = {"accept": "Accept", "contentType": "ContentType", "inputLocation": "InputLocation"}
        asked = {name: waiting.request[field] for name, field in names.items() if field in waiting.request}
        message = {
            "awsRegion": self._platform.region, "eventTime": _stamp(time.time()), "receivedTime": _stamp(waiting.received),
            **outcome, "requestParameters": {**asked, "endpointName": waiting.endpoint},
            "inferenceId": waiting.inference_id, **_TOLD, "eventName": "InferenceResult",
        }  # fmt: skip
        try:
            self._publish(role_arn, arn, message)
        except (ClientError, BotoCoreError):
            count("NotificationFailures")

    def _publish(self, role_arn: str, topic: str, message: Request) -> None:
        client = self._platform.client("sns", role_arn, "SageMaker")
        client.publish(TopicArn=topic, Message=json.dumps(message))


def _stamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
