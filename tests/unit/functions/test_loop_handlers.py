"""start_retraining, track_episode, deploy_model and confirm_deployment, called as Lambda calls them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import time_machine

from driftloop.loop.write_card import CardWriter
from driftloop.retraining.episode import Status
from functions.confirm_deployment.handler import handler as confirm_deployment
from functions.deploy_model.handler import handler as deploy_model
from functions.reconcile.handler import handler as reconcile
from functions.start_retraining.handler import handler as start_retraining
from functions.track_episode.handler import handler as track_episode
from functions.watch_rollout.handler import handler as watch_rollout
from tests.contract.test_services import put_parameter
from tests.events import batch, event
from tests.fakes import examples as ex
from tests.unit.functions.conftest import NOW, Account, Context

DONE: dict[str, Any] = {"batchItemFailures": []}
IDLE: dict[str, Any] = {"done": {}, "failed": {}}
FAILED = {"batchItemFailures": [{"itemIdentifier": "m0"}]}


def _alarm(value: str = "ALARM", name: str = "driftloop-late-train-drift") -> dict[str, Any]:
    made = event("alarm_state_change")
    made["detail"]["state"]["value"] = value
    made["detail"]["alarmName"] = name
    return made


def _ended(account: Account, status: str = "Succeeded") -> dict[str, Any]:
    made = event("pipeline_execution_status_change")
    made["detail"]["pipelineExecutionArn"] = account.episodes()[-1].pipeline_execution_arn
    made["detail"]["currentPipelineExecutionStatus"] = status
    return made


def test_an_alarm_starts_the_pipeline_once(account: Account, context: Context) -> None:
    assert start_retraining(batch(_alarm(), _alarm()), context) == DONE
    assert start_retraining(batch(_alarm()), context) == DONE
    (episode,) = account.episodes()
    assert (episode.status, str(episode.trigger)) == (Status.STARTED, "drift")
    assert episode.reason.startswith("Threshold Crossed: 3 out of the last 3")
    executions = account.client("sagemaker").list_pipeline_executions(PipelineName=ex.BASE)
    assert len(executions["PipelineExecutionSummaries"]) == 1
    parameters = account.client("sagemaker").list_pipeline_parameters_for_execution(
        PipelineExecutionArn=episode.pipeline_execution_arn
    )["PipelineParameters"]
    assert {p["Name"]: p["Value"] for p in parameters}["EpisodeId"] == episode.id
    assert account.told() == ["[driftloop] late_train: retraining started"]


def test_a_rollout_is_looked_at_again_until_it_is_over(account: Account, context: Context) -> None:
    changed = event("endpoint_deployment_state_change")
    assert watch_rollout(batch(changed), context) == DONE
    account.ledger.set_champion(ex.NAME, ex.champion())
    rollout = ex.deployment(2)
    assert account.ledger.set_deployment(ex.NAME, rollout, None)
    assert watch_rollout(batch(changed), context) == FAILED
    assert account.ledger.set_deployment(ex.NAME, replace(rollout, phase="done"), rollout)
    assert watch_rollout(batch(changed), context) == DONE


def test_an_alarm_whose_event_was_lost_is_found_standing(account: Account, context: Context) -> None:
    assert reconcile({}, context) == IDLE
    cloudwatch = account.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName=f"{ex.BASE}-drift", Namespace="driftloop", MetricName="InputDrift", Statistic="Maximum",
        Period=86400, EvaluationPeriods=3, Threshold=1, ComparisonOperator="GreaterThanOrEqualToThreshold",
    )  # fmt: skip
    cloudwatch.set_alarm_state(AlarmName=f"{ex.BASE}-drift", StateValue="ALARM", StateReason="3 of 3")
    found = reconcile({}, context)
    (outcome,) = found["done"].values()
    assert found["failed"] == {}
    assert "stands since" in outcome
    assert reconcile({}, context) == IDLE
    (episode,) = account.episodes()
    assert (episode.status, str(episode.trigger)) == (Status.STARTED, "drift")
    assert account.told() == ["[driftloop] late_train: retraining started"]


def _metrics(capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[object, object]]:
    """Metrics in the log: name -> value and the function that says it."""
    found: dict[str, tuple[object, object]] = {}
    for line in capsys.readouterr().out.splitlines():
        said = json.loads(line)
        for group in said.get("_aws", {}).get("CloudWatchMetrics", ()):
            assert (group["Namespace"], group["Dimensions"]) == ("driftloop", [["Function"]])
            found |= {metric["Name"]: (said[metric["Name"]][0], said["Function"]) for metric in group["Metrics"]}
    return found


def test_the_reconciler_says_how_many_models_it_could_look_after(
    account: Account, context: Context, capsys: pytest.CaptureFixture[str]
) -> None:
    reconcile({}, context)
    assert _metrics(capsys) == {"ModelsReconciled": (1, "reconcile"), "ModelsNotReconciled": (0, "reconcile")}
    put_parameter(account.client("ssm"), "other_train")
    damaged = json.dumps({"spec": {}, "resources": vars(ex.model().resources)})
    for number in range(2):
        account.client("ssm").put_parameter(Name=f"/driftloop/models/damaged{number}", Value=damaged, Type="String")
    found = reconcile({}, context)
    assert found == {"done": {}, "failed": {f"damaged{number}": "KeyError: 'retraining'" for number in range(2)}}
    assert _metrics(capsys) == {"ModelsReconciled": (2, "reconcile"), "ModelsNotReconciled": (2, "reconcile")}


@pytest.mark.parametrize("value", ["", "{}", '{"spec": {}, "resources": {"group": "of a newer version"}}'])
def test_a_parameter_that_cannot_be_read_does_not_keep_other_models_from_help(
    account: Account, context: Context, value: str
) -> None:
    account.client("ssm").put_parameter(Name="/driftloop/models/damaged", Value=value or " ", Type="String")
    assert list(reconcile({}, context)["failed"]) == ["damaged"]


def test_a_decision_whose_event_was_lost_is_said_again(account: Account, context: Context) -> None:
    assert start_retraining(batch(_alarm()), context) == DONE
    assert track_episode(batch(_ended(account)), context) == DONE
    arn = account.register(ex.package(1, account.episodes()[-1].id))
    queue = account.client("sqs").create_queue(QueueName="driftloop-deployment")["QueueUrl"]
    with time_machine.travel(NOW + timedelta(minutes=20)):
        assert reconcile({}, context) == {"done": {ex.NAME: f"{arn} is Approved: said again"}, "failed": {}}
    (message,) = account.client("sqs").receive_message(QueueUrl=queue)["Messages"]
    assert deploy_model(batch(json.loads(message["Body"])), context) == DONE
    assert account.episodes()[-1].status is Status.ROLLING_OUT


def test_an_alarm_that_ends_asks_for_nothing(account: Account, context: Context) -> None:
    assert start_retraining(batch(_alarm("OK"), _alarm("INSUFFICIENT_DATA")), context) == DONE
    assert account.episodes() == []


def test_drift_and_quality_at_once_start_one(account: Account, context: Context) -> None:
    quality = _alarm(name="driftloop-late-train-quality")
    assert start_retraining(batch(_alarm(), quality), context) == DONE
    assert sorted((e.status, e.rule) for e in account.episodes()) == [("merged", "alone"), ("started", "start")]


@pytest.mark.parametrize(
    ("name", "trigger", "status"),
    [("retraining_requested", "manual", Status.STARTED), ("schedule", "schedule", Status.REFUSED)],
)
def test_other_requests(account: Account, context: Context, name: str, trigger: str, status: Status) -> None:
    assert start_retraining(batch(event(name), event(name)), context) == DONE
    (episode,) = account.episodes()
    assert (str(episode.trigger), episode.status) == (trigger, status)


@pytest.mark.parametrize(("days", "status", "rule"), [(1, Status.STARTED, "start"), (3, Status.REFUSED, "fresh")])
def test_a_schedule_without_time_is_as_old_as_its_message(
    account: Account, context: Context, days: int, status: Status, rule: str
) -> None:
    put_parameter(account.client("ssm"), retraining={"on": ["schedule"], "every": "7d"})
    account.ledger.set_champion(ex.NAME, ex.champion())
    sent = batch({"model": ex.NAME, "trigger": "schedule"})
    sent["Records"][0]["attributes"]["SentTimestamp"] = str(round((NOW - timedelta(days=days)).timestamp() * 1000))
    assert start_retraining(sent, context) == DONE
    (episode,) = account.episodes()
    assert (episode.status, episode.rule) == (status, rule)
    assert abs(episode.opened_at - NOW) < timedelta(minutes=1)  # when it was decided


@pytest.mark.parametrize(
    "body",
    [
        "",
        "not json",
        "[]",
        "{}",
        {"detail-type": "Scheduled Event"},
        {"model": ex.NAME, "trigger": "drift"},
        {"model": "../../secret", "trigger": "schedule"},
        {"detail-type": "Retraining Requested", "id": "1", "time": "2026-03-03T00:00:00Z", "detail": {"model": "a b"}},
        {"detail-type": "CloudWatch Alarm State Change", "detail": {"alarmName": "x"}},
        _alarm(name="driftloop-late-train-errors"),
        _alarm(name="somebody-elses-drift"),
        _alarm(name="driftloop-never-deployed-drift"),
    ],
    ids=lambda body: json.dumps(body)[:40],
)
def test_what_is_no_request_goes_to_the_dead_letters(account: Account, context: Context, body: object) -> None:
    assert start_retraining(batch(body), context) == FAILED
    assert account.episodes() == []


def test_the_end_of_a_pipeline(account: Account, context: Context) -> None:
    start_retraining(batch(_alarm()), context)
    assert track_episode(batch(_ended(account, "Executing")), context) == DONE
    assert account.episodes()[0].status is Status.STARTED
    assert track_episode(batch(_ended(account), _ended(account)), context) == DONE
    assert account.episodes()[0].status is Status.CANDIDATE


def test_a_card_that_cannot_be_written_is_counted_and_nothing_else_notices(
    account: Account,
    context: Context,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refused(*_: object) -> str:
        raise ValueError("SageMaker does not take this card")

    monkeypatch.setattr(CardWriter, "write", refused)
    start_retraining(batch(_alarm()), context)
    assert track_episode(batch(_ended(account)), context) == DONE
    assert account.episodes()[0].status is Status.CANDIDATE
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["CardsNotWritten"] for line in said if "CardsNotWritten" in line] == [[1.0]]
    assert "model card not written" in caplog.messages


def test_the_end_of_a_pipeline_that_somebody_started_by_hand(account: Account, context: Context) -> None:
    assert track_episode(batch(event("pipeline_execution_status_change")), context) == DONE


def test_the_end_that_overtakes_the_start_comes_back(account: Account, context: Context) -> None:
    account.ledger.claim(ex.episode(), ex.START)
    assert track_episode(batch(event("pipeline_execution_status_change")), context) == FAILED


def test_a_version_from_approval_to_service(account: Account, context: Context) -> None:
    start_retraining(batch(_alarm()), context)
    track_episode(batch(_ended(account)), context)
    (episode,) = account.episodes()
    arn = account.register(ex.package(1, episode.id))
    approved = event("model_package_state_change")
    assert approved["detail"]["ModelPackageArn"] == arn
    assert deploy_model(batch(approved, approved), context) == DONE
    assert account.episodes()[0].status is Status.ROLLING_OUT

    for name in ("endpoint_deployment_state_change", "endpoint_state_change", "endpoint_state_change"):
        assert confirm_deployment(batch(event(name)), context) == DONE
    champion = account.ledger.champion(ex.NAME)
    assert champion is not None
    assert (champion.version, champion.config, champion.package_arn) == (1, f"{ex.BASE}-v1", arn)
    assert account.episodes()[0].status is Status.PROMOTED
    assert account.told()[-1] == "[driftloop] late_train: version 1 serves"
    assert deploy_model(batch(approved), context) == DONE


def test_a_version_that_a_person_rejects(account: Account, context: Context) -> None:
    start_retraining(batch(_alarm()), context)
    track_episode(batch(_ended(account)), context)
    package = ex.package(1, account.episodes()[0].id, "PendingManualApproval")
    account.client("sagemaker").update_model_package(
        ModelPackageArn=account.register(package), ModelApprovalStatus="Rejected",
        ApprovalDescription="it forgets Sundays",
        CustomerMetadataProperties=dict(package.properties),  # which moto forgets if an update does not name them
    )  # fmt: skip
    rejected = event("model_package_state_change")
    rejected["detail"]["ModelApprovalStatus"] = "Rejected"
    assert deploy_model(batch(rejected, rejected), context) == DONE
    (episode,) = account.episodes()
    assert (episode.status, episode.outcome) == (Status.REJECTED, "version 1 was rejected: it forgets Sundays")
    assert account.client("sagemaker").list_endpoints()["Endpoints"] == []


def test_an_approval_of_a_version_that_is_gone(account: Account, context: Context) -> None:
    assert deploy_model(batch(event("model_package_state_change")), context) == FAILED


def test_an_endpoint_that_nobody_rolls_out(account: Account, context: Context) -> None:
    assert confirm_deployment(batch(event("endpoint_state_change")), context) == DONE


@pytest.mark.parametrize("handler", [track_episode, deploy_model, confirm_deployment])
@pytest.mark.parametrize("body", ["", "{}", '{"detail": 5}', "null"])
def test_a_malformed_event_goes_back(account: Account, context: Context, handler: Any, body: str) -> None:
    assert handler(batch(body), context) == FAILED
