"""Events as AWS sends them, reduced to the fields that are used. Unknown fields are ignored, missing ones refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import unquote_plus

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel, to_pascal

from driftloop.loop.capture_answers import Answered
from driftloop.loop.sources import Source
from driftloop.names import model_of_endpoint, parse_uri
from driftloop.ports import RaisedAlarm, TerminalError
from driftloop.retraining.decision import ALARMS
from driftloop.retraining.episode import Request, Trigger, alarm_cause

Event = TypeVar("Event", bound=BaseModel)
ALARM_CHANGED = "CloudWatch Alarm State Change"
"""``detail-type`` of CloudWatch's event."""


class _Camel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, frozen=True)


class _Pascal(BaseModel):
    model_config = ConfigDict(alias_generator=to_pascal, frozen=True)


class _Kind(BaseModel):
    kind: str = Field("", alias="detail-type")


class _AlarmState(_Camel):
    value: str
    reason: str = ""
    timestamp: AwareDatetime


class _AlarmDetail(_Camel):
    alarm_name: str
    state: _AlarmState


class AlarmStateChange(BaseModel):
    """CloudWatch Alarm State Change."""

    detail: _AlarmDetail

    def request(self) -> Request | None:
        """The retraining it asks for; None unless the alarm has just been raised."""
        state = self.detail.state
        if state.value != "ALARM":
            return None
        base, _, signal = self.detail.alarm_name.rpartition("-")
        if signal not in ALARMS:
            raise ValueError(f"{self.detail.alarm_name!r} is no alarm on drift or quality")
        cause = alarm_cause(self.detail.alarm_name, state.timestamp)
        by = f"alarm {self.detail.alarm_name}"
        return Request(model_of_endpoint(base), Trigger(signal), cause, state.reason, state.timestamp, by)

    def raised(self) -> RaisedAlarm:
        """The alarm that rings."""
        return RaisedAlarm(self.detail.alarm_name, self.detail.state.timestamp, self.detail.state.reason)


ModelName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]+$", max_length=64)]
"""Anybody may write these two events; the name becomes part of a parameter's name."""


Words = Annotated[str, StringConstraints(strip_whitespace=True)]


class _RequestDetail(BaseModel):
    model: ModelName
    reason: Words = Field("", max_length=1000)
    by: Words = Field("", max_length=200)


class RetrainingRequested(BaseModel):
    """The kit's own event: anybody who may put events on the bus can ask for a retraining."""

    id: str
    time: AwareDatetime
    detail: _RequestDetail

    def request(self) -> Request:
        """The retraining it asks for."""
        reason, by = self.detail.reason or "asked for by hand", self.detail.by or "a person"
        return Request(self.detail.model, Trigger.MANUAL, self.id, reason, self.time, by)


class ScheduledRequest(BaseModel):
    """What the schedule of a model sends."""

    model: ModelName
    trigger: Literal["schedule"]
    time: AwareDatetime

    def request(self) -> Request:
        """The retraining it asks for."""
        reason = "the model file's schedule"
        return Request(self.model, Trigger.SCHEDULE, self.time.isoformat(), reason, self.time, "schedule")


class _PackageDetail(_Pascal):
    model_package_arn: str
    model_approval_status: str


class PackageStateChange(BaseModel):
    """SageMaker Model Package State Change."""

    detail: _PackageDetail


class _PipelineDetail(_Camel):
    pipeline_execution_arn: str
    current_pipeline_execution_status: str


class PipelineStatusChange(BaseModel):
    """SageMaker Model Building Pipeline Execution Status Change."""

    detail: _PipelineDetail


class BatchDue(BaseModel):
    """What the schedule of a model sends when files of rows are to be answered."""

    model: ModelName
    time: AwareDatetime


class _TransformDetail(_Pascal):
    transform_job_name: str


class TransformJobChange(BaseModel):
    """SageMaker Transform Job State Change."""

    detail: _TransformDetail


class _Published(_Camel):
    event_name: str = ""


class _AsyncRequest(_Camel):
    endpoint_name: str
    input_location: str


class _AsyncResponse(_Camel):
    output_location: str


class InferenceResult(_Camel):
    """What SageMaker publishes when an asynchronous endpoint has answered."""

    event_time: AwareDatetime
    inference_id: str
    request_parameters: _AsyncRequest
    response_parameters: _AsyncResponse


class _EndpointDetail(_Pascal):
    endpoint_name: str


class EndpointChange(BaseModel):
    """SageMaker Endpoint State Change, and its Deployment sibling."""

    detail: _EndpointDetail


def parse_request(record: Mapping[str, Any]) -> Request | None:
    """The retraining that an SQS record asks for; None if it asks for none. Raises TerminalError."""
    try:
        body = json.loads(record["body"])
        _refuse_foreign(record, body)
        match body.get("detail-type"):
            case kind if kind == ALARM_CHANGED:
                return AlarmStateChange.model_validate(body).request()
            case "Retraining Requested":
                return RetrainingRequested.model_validate(body).request()
            case None:
                sent = int(record["attributes"]["SentTimestamp"]) / 1000
                return ScheduledRequest.model_validate({"time": sent, **body}).request()
            case other:
                raise ValueError(f"detail-type {str(other)[:100]!r} is not known here")
    except (ValueError, ValidationError, AttributeError, KeyError) as error:
        raise TerminalError(f"not a retraining request: {error}") from error


def _refuse_foreign(record: Mapping[str, Any], body: Mapping[str, Any]) -> None:
    """An event of another account or region is not about the models of this one, whatever their names."""
    _, _, _, region, account, _ = record["eventSourceARN"].split(":")
    for name, here in (("account", account), ("region", region)):
        there = body.get(name, here)
        if there != here:
            raise ValueError(f"{name} {str(there)[:100]!r} is not this one, {here}")


def parse_body(event: type[Event], record: Mapping[str, Any]) -> Event:
    """The event in an SQS record's body. Raises TerminalError."""
    try:
        return event.model_validate_json(record["body"])
    except ValidationError as error:
        raise TerminalError(f"not a {event.__name__}: {error}") from error


def parse_news(record: Mapping[str, Any]) -> PackageStateChange | AlarmStateChange:
    """What an SQS record tells of a version: what was decided about it, or that an alarm rings. Raises TerminalError."""
    alarm = parse_body(_Kind, record).kind == ALARM_CHANGED
    return parse_body(AlarmStateChange, record) if alarm else parse_body(PackageStateChange, record)


def parse_batch_news(record: Mapping[str, Any]) -> BatchDue | TransformJobChange:
    """What an SQS record tells of files of rows: that it is time for them, or that a job ended. Raises TerminalError."""
    event = parse_body(_Kind, record).kind
    return parse_body(TransformJobChange, record) if event else parse_body(BatchDue, record)


def parse_answered(record: Mapping[str, Any]) -> Answered | None:
    """The answer that an SQS record tells of; None for the message with which SageMaker tries the topic. Raises TerminalError."""
    if parse_body(_Published, record).event_name == "TestNotification":
        return None
    told = parse_body(InferenceResult, record)
    try:
        return Answered(
            told.request_parameters.endpoint_name,
            parse_uri(told.request_parameters.input_location),
            parse_uri(told.response_parameters.output_location),
            told.inference_id,
            told.event_time.astimezone(UTC),
        )
    except ValueError as error:
        raise TerminalError(f"not an InferenceResult: {error}") from error


def parse_sources(record: Mapping[str, Any]) -> list[Source]:
    """The objects that an S3 notification in an SQS record names; S3's test event names none."""
    try:
        body = json.loads(record["body"])
        if body.get("Event") == "s3:TestEvent":
            return []
        return [_source(item["s3"]) for item in body["Records"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TerminalError(f"not an S3 notification: {type(error).__name__}: {error}") from error


def _source(item: Mapping[str, Any]) -> Source:
    thing = item["object"]
    return Source(
        bucket=item["bucket"]["name"],
        key=unquote_plus(thing["key"]),
        version=thing.get("versionId"),
        etag=thing.get("eTag", ""),
        size=int(thing.get("size", 0)),
        uploaded=str(item.get("eventTime", "")),
    )
