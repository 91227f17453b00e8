"""Requests as they should not be: each is answered, none starts what nobody asked for, and logs stay readable."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from driftloop.aws.events import (
    EndpointChange,
    PackageStateChange,
    PipelineStatusChange,
    parse_body,
    parse_request,
)
from driftloop.names import ModelNames
from driftloop.ports import TerminalError
from driftloop.retraining.episode import Status
from driftloop.retraining.evidence import Pause
from functions.confirm_deployment.handler import handler as confirm_deployment
from functions.deploy_model.handler import handler as deploy_model
from functions.start_retraining.handler import handler as start_retraining
from functions.track_episode.handler import handler as track_episode
from tests.contract.test_services import put_parameter
from tests.events import batch, event, record
from tests.fakes import examples as ex
from tests.unit.functions.conftest import NOW, Account, Context

DONE: dict[str, Any] = {"batchItemFailures": []}
FAILED = {"batchItemFailures": [{"itemIdentifier": "m0"}]}
LARGE = 256 * 1024
"""Bytes of the largest event that the bus and the queue take."""
BY_HAND, ALARM, SCHEDULE = "retraining_requested", "alarm_state_change", "schedule"
REQUESTS = [BY_HAND, ALARM, SCHEDULE]


def _without(value: dict[str, Any], *path: str) -> dict[str, Any]:
    part = value
    for key in path[:-1]:
        part = part[key]
    del part[path[-1]]
    return value


def _with(value: dict[str, Any], content: object, *path: str) -> dict[str, Any]:
    part = value
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = content
    return value


def _refused(account: Account) -> tuple[str, str]:
    """Rule and reason of the one answer that was recorded."""
    (episode,) = account.episodes()
    assert episode.status is Status.REFUSED
    pipelines = account.client("sagemaker").list_pipeline_executions(PipelineName=ex.BASE)
    assert pipelines["PipelineExecutionSummaries"] == []
    return episode.rule, episode.outcome


# Too much and too little


@pytest.mark.parametrize("name", [BY_HAND, ALARM])
def test_fields_that_nobody_knows_are_ignored(account: Account, context: Context, name: str) -> None:
    sent = event(name) | {"new-field": {"deep": [1, 2]}, "resources": None}
    sent["detail"]["priority"] = "high"
    assert start_retraining(batch(sent), context) == DONE
    assert [episode.status for episode in account.episodes()] == [Status.STARTED]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (BY_HAND, ("id",)),
        (BY_HAND, ("time",)),
        (BY_HAND, ("detail",)),
        (BY_HAND, ("detail", "model")),
        (ALARM, ("detail", "alarmName")),
        (ALARM, ("detail", "state")),
        (ALARM, ("detail", "state", "value")),
        (ALARM, ("detail", "state", "timestamp")),
        (SCHEDULE, ("model",)),
        (SCHEDULE, ("trigger",)),
    ],
)
def test_what_is_missing_is_named(account: Account, context: Context, name: str, path: tuple[str, ...]) -> None:
    sent = _without(event(name), *path)
    with pytest.raises(TerminalError, match=path[-1]):
        parse_request(record(sent))
    assert start_retraining(batch(sent), context) == FAILED
    assert account.episodes() == []


@pytest.mark.parametrize("content", ["", " \n\t ", "x" * 1001, 5, None, ["late_train"]])
def test_reasons_are_text_of_some_length(content: object) -> None:
    sent = _with(event(BY_HAND), content, "detail", "reason")
    if isinstance(content, str) and not content.strip():
        request = parse_request(record(sent))
        assert request is not None
        assert request.reason == "asked for by hand"
        return
    with pytest.raises(TerminalError, match="reason"):
        parse_request(record(sent))


@pytest.mark.parametrize("name", ["", "a b", "Late_train", "../late_train", "late_train\n", "x" * 65, "driftloop/x"])
@pytest.mark.parametrize("sent", [BY_HAND, SCHEDULE])
def test_names_that_no_model_can_have(name: str, sent: str) -> None:
    path = ("detail", "model") if sent == BY_HAND else ("model",)
    with pytest.raises(TerminalError, match="model"):
        parse_request(record(_with(event(sent), name, *path)))


@pytest.mark.parametrize(
    "name",
    [
        "driftloop-late-train-errors",
        "driftloop-late-train-",
        "driftloop-late-train",
        "late-train-drift",
        "driftloop",
        "",
        *(f"driftloop-late-train-{word}" for word in ("manual", "schedule", "data", "code")),
    ],
)
def test_alarms_that_ask_for_no_retraining(name: str) -> None:
    """Least of all may an alarm pass for a person, who need not wait."""
    with pytest.raises(TerminalError):
        parse_request(record(_with(event(ALARM), name, "detail", "alarmName")))


# From elsewhere


@pytest.mark.parametrize("name", [BY_HAND, ALARM])
@pytest.mark.parametrize(("key", "value"), [("account", "999999999999"), ("region", "us-east-1")])
def test_events_of_another_account_or_region_start_nothing(
    account: Account, context: Context, name: str, key: str, value: str
) -> None:
    assert start_retraining(batch(event(name) | {key: value}), context) == FAILED
    assert account.episodes() == []


# For nobody


@pytest.mark.parametrize("name", REQUESTS)
def test_requests_for_a_model_that_was_removed(account: Account, context: Context, name: str) -> None:
    """They go to the dead letters, where people see them; the ledger of the model's next life stays clean."""
    account.client("ssm").delete_parameter(Name=ModelNames(ex.NAME).parameter)
    assert start_retraining(batch(event(name)), context) == FAILED
    assert account.episodes() == []


def test_what_is_still_told_of_a_model_that_was_removed(account: Account, context: Context) -> None:
    account.client("ssm").delete_parameter(Name=ModelNames(ex.NAME).parameter)
    assert track_episode(batch(event("pipeline_execution_status_change")), context) == DONE
    assert confirm_deployment(batch(event("endpoint_state_change")), context) == DONE
    account.register(ex.package())
    assert deploy_model(batch(event("model_package_state_change")), context) == FAILED
    assert account.client("sagemaker").list_endpoints()["Endpoints"] == []


# At another time


@pytest.mark.parametrize(
    "time", ["2016-03-03T00:30:00Z", "2036-03-03T00:30:00Z", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z"]
)
@pytest.mark.parametrize("name", REQUESTS)
def test_requests_of_another_age_are_refused_with_the_reason(
    account: Account, context: Context, name: str, time: str
) -> None:
    put_parameter(account.client("ssm"), retraining={"on": ["drift", "schedule"], "every": "7d"})
    path = ("detail", "state", "timestamp") if name == ALARM else ("time",)
    assert start_retraining(batch(_with(event(name), time, *path)), context) == DONE
    assert _refused(account) == ("fresh", f"the request is from {time}, more than 2 days from now")
    assert abs(account.episodes()[0].opened_at - NOW) < timedelta(minutes=1)


@pytest.mark.parametrize("time", ["yesterday", "", "2026-13-03T00:00:00Z", None, [], "10000-01-01T00:00:00Z"])
@pytest.mark.parametrize("name", [BY_HAND, ALARM])
def test_what_is_no_time(name: str, time: object) -> None:
    path = ("detail", "state", "timestamp") if name == ALARM else ("time",)
    with pytest.raises(TerminalError, match=path[-1]):
        parse_request(record(_with(event(name), time, *path)))


@pytest.mark.parametrize("name", REQUESTS)
def test_a_time_without_a_zone_is_no_time(name: str) -> None:
    path = ("detail", "state", "timestamp") if name == ALARM else ("time",)
    with pytest.raises(TerminalError, match=path[-1]):
        parse_request(record(_with(event(name), "2026-03-03T00:30:00", *path)))


# Very long


@pytest.mark.parametrize("name", [BY_HAND, ALARM])
def test_a_large_event_with_what_nobody_needs_is_handled(account: Account, context: Context, name: str) -> None:
    sent = _with(event(name), "x" * LARGE, "detail", "configuration")
    assert start_retraining(batch(sent), context) == DONE
    assert [episode.status for episode in account.episodes()] == [Status.STARTED]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (BY_HAND, ("detail", "model")),
        (BY_HAND, ("detail", "reason")),
        (BY_HAND, ("detail", "by")),
        (BY_HAND, ("time",)),
        (BY_HAND, ("detail",)),
        (ALARM, ("detail", "state")),
        (ALARM, ("detail", "state", "timestamp")),
        (SCHEDULE, ("model",)),
        (SCHEDULE, ("trigger",)),
    ],
)
def test_a_field_that_is_far_too_long_is_refused_in_few_words(name: str, path: tuple[str, ...]) -> None:
    with pytest.raises(TerminalError) as caught:
        parse_request(record(_with(event(name), "x" * LARGE, *path)))
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("body", ["[" * LARGE, '{"a":' * 40_000, "9" * LARGE, '"' + "x" * LARGE])
def test_a_long_text_that_is_no_event(account: Account, context: Context, body: str) -> None:
    assert start_retraining(batch(body), context) == FAILED
    assert account.episodes() == []


@pytest.mark.parametrize("kind", [PackageStateChange, PipelineStatusChange, EndpointChange])
@pytest.mark.parametrize("body", ["[" * 1000, "x" * LARGE, '{"detail": "' + "x" * LARGE + '"}', '{"detail": {}}'])
def test_other_events_are_refused_in_few_words(kind: Any, body: str) -> None:
    with pytest.raises(TerminalError, match=f"not a {kind.__name__}") as caught:
        parse_body(kind, record(body))
    assert len(str(caught.value)) < 1000


# What the model file and people say


@pytest.mark.parametrize(
    ("budget", "rule", "reason"),
    [
        ({"per_day": 0}, "within_day", "the model file's budget is 0 retrainings in a day"),
        ({"per_month": 0}, "within_month", "the model file's budget is 0 retrainings in 30 days"),
    ],
)
@pytest.mark.parametrize("name", [BY_HAND, ALARM])
def test_a_budget_of_zero(
    account: Account, context: Context, name: str, budget: dict[str, int], rule: str, reason: str
) -> None:
    put_parameter(account.client("ssm"), retraining={"on": ["drift"], "budget": budget})
    assert start_retraining(batch(event(name), event(name)), context) == DONE
    assert _refused(account) == (rule, reason)
    assert account.told() == []


@pytest.mark.parametrize("name", [BY_HAND, ALARM])
def test_a_pause(account: Account, context: Context, name: str) -> None:
    account.ledger.set_pause(ex.NAME, Pause("ann", NOW, "stock-taking"))
    assert start_retraining(batch(event(name)), context) == DONE
    rule, reason = _refused(account)
    assert rule == "resumed"
    assert reason == "paused by ann since 2026-03-03T01:00:00Z: stock-taking; driftloop resume ends it"


@pytest.mark.parametrize(("sent", "told"), [("ann", "ann"), ("", "a person")])
def test_who_asked_is_kept(account: Account, context: Context, sent: str, told: str) -> None:
    assert start_retraining(batch(_with(event(BY_HAND), sent, "detail", "by")), context) == DONE
    assert [episode.by for episode in account.episodes()] == [told]


def test_which_alarm_asked_is_kept(account: Account, context: Context) -> None:
    assert start_retraining(batch(event(ALARM)), context) == DONE
    assert [episode.by for episode in account.episodes()] == ["alarm driftloop-late-train-drift"]
