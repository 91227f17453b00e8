"""A model whose requests wait: asked and answered in objects, captured by the function that hears of answers."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import boto3
import pytest

from driftloop.names import ModelNames

from .broken import approved
from .examples import BEGIN, FREIGHT, train_history, trips
from .kit import Kit

NAMES = ModelNames(FREIGHT)
ROOT = f"asynchronous/{FREIGHT}"
LINES = [line for line, _ in trips(BEGIN.replace(hour=0), 30, seed=100)]


@pytest.fixture(scope="module")
def freight(kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> Kit:
    """A kit in which the first version of the freight train serves."""
    file = tmp_path_factory.mktemp("history") / "trips.csv"
    file.write_text(train_history())
    kit.done("history", "import", FREIGHT, file)
    episode = kit.retrain(FREIGHT, "the first version")
    assert episode.status == "promoted", episode
    return kit


@pytest.fixture(scope="module")
def asker(freight: Kit) -> Any:
    """A client of somebody who may ask this endpoint and nothing else."""
    iam, name = freight.client("iam"), "asker"
    trust = {"Effect": "Allow", "Principal": {"AWS": freight.twin.account}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    endpoint = f"arn:aws:sagemaker:{freight.twin.region}:{freight.twin.account}:endpoint/{NAMES.base}"
    grant = {"Effect": "Allow", "Action": "sagemaker:InvokeEndpointAsync", "Resource": endpoint}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [grant]})
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy)
    session = freight.client("sts").assume_role(RoleArn=role, RoleSessionName="session")["Credentials"]
    return boto3.client(
        "sagemaker-runtime", endpoint_url=freight.twin.url, region_name=freight.twin.region,
        aws_access_key_id=session["AccessKeyId"], aws_secret_access_key=session["SecretAccessKey"],
        aws_session_token=session["SessionToken"],
    )  # fmt: skip


def _ask(kit: Kit, asker: Any, key: str) -> dict[str, str]:
    """Keys of the answer and of what is written in its place, when the endpoint is done."""
    told = asker.invoke_endpoint_async(
        EndpointName=NAMES.base, InputLocation=f"s3://{kit.bucket('live')}/{key}", ContentType="text/csv"
    )
    kit.settle()
    return {kind: told[kind].partition(f"{kit.bucket('live')}/")[2] for kind in ("OutputLocation", "FailureLocation")}


def _request(kit: Kit, name: str, lines: list[str]) -> str:
    key = f"{ROOT}/requests/{name}"
    kit.put(key, "\n".join(lines).encode())
    return key


def _captures(kit: Kit) -> list[str]:
    return kit.keys(f"capture/{NAMES.base}/")


def test_a_request_is_answered_captured_and_profiled(freight: Kit, asker: Any) -> None:
    place = _ask(freight, asker, _request(freight, "a.csv", LINES))
    scores = [float(line) for line in freight.read(place["OutputLocation"]).split()]
    assert place["OutputLocation"].startswith(f"{ROOT}/answers/")
    assert len(scores) == len(LINES)
    [capture] = _captures(freight)
    record = json.loads(freight.read(capture))
    assert [float(line) for line in record["captureData"]["endpointOutput"]["data"].split()] == scores
    assert (freight.metric(FREIGHT, "RowsCounted"), freight.metric(FREIGHT, "RowsQuarantined")) == (30, 0)
    assert (freight.waiting("answers"), freight.waiting("answers-dlq")) == (0, 0)
    traced = json.loads(freight.done("trace", LINES[0].split(",")[0], "--model", FREIGHT, "--json"))
    assert (traced["version"], traced["score"]) == (1, scores[0])


def test_an_answer_that_is_told_again_is_counted_once(freight: Kit, asker: Any) -> None:
    key = _request(freight, "b.csv", [line.replace("T", "B", 1) for line in LINES[:5]])
    place, at = _ask(freight, asker, key), f"{freight.now():%Y-%m-%dT%H:%M:%SZ}"
    counted, captures = freight.metric(FREIGHT, "RowsCounted"), len(_captures(freight))
    again = {
        "eventName": "InferenceResult", "eventTime": at, "inferenceId": "again",
        "requestParameters": {"endpointName": NAMES.base, "inputLocation": f"s3://{freight.bucket('live')}/{key}"},
        "responseParameters": {"outputLocation": f"s3://{freight.bucket('live')}/{place['OutputLocation']}"},
    }  # fmt: skip
    for _ in range(2):
        freight.send("answers", again)
        freight.settle()
    assert len(_captures(freight)) == captures + 1, "one of its own, as nobody else has told of that id"
    assert freight.metric(FREIGHT, "RowsCounted") == counted + 5


@pytest.mark.parametrize("kind", ["bad row", "gone", "of another model"])
def test_what_is_not_answered_says_why_and_is_not_captured(freight: Kit, asker: Any, kind: str) -> None:
    captured = len(_captures(freight))
    keys = {"gone": f"{ROOT}/requests/gone.csv", "of another model": "asynchronous/late_train/requests/a.csv"}
    freight.put(keys["of another model"], "\n".join(LINES).encode())
    bad = _request(freight, "bad.csv", [*LINES[:2], "not,a,row"])
    place = _ask(freight, asker, keys.get(kind, bad))
    assert place["FailureLocation"].startswith(f"{ROOT}/failures/")
    told = freight.read(place["FailureLocation"]).decode()
    assert {"bad row": "row 3", "gone": "does not exist", "of another model": "AccessDenied"}[kind] in told
    assert place["OutputLocation"] not in freight.keys(f"{ROOT}/answers/")
    assert len(_captures(freight)) == captured


def test_a_version_that_throws_is_rolled_back_while_it_bakes(freight: Kit, asker: Any) -> None:
    champion = freight.ledger.champion(FREIGHT)
    assert champion
    # The failures of the requests before must not be this version's.
    freight.move(freight.now() + timedelta(minutes=30))
    package = approved(freight, FREIGHT, "throws")
    key, begun = _request(freight, "c.csv", LINES[:2]), freight.now()
    while freight.endpoint(FREIGHT)[0] == "Updating" and freight.now() - begun < timedelta(hours=1):
        _ask(freight, asker, key)
        freight.move(freight.now() + timedelta(minutes=1))
        freight.settle()
    assert freight.endpoint(FREIGHT) == ("InService", champion.config)
    described = freight.client("sagemaker").describe_model_package(ModelPackageName=package)
    assert described["ModelApprovalStatus"] == "Rejected"
    place = _ask(freight, asker, key)
    assert len(freight.read(place["OutputLocation"]).split()) == 2
