"""A model without instances: asked over HTTP, captured by its function, taken back by the kit."""

from __future__ import annotations

import http.client
import json
from contextlib import closing
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from driftloop.names import ModelNames

from .broken import approved
from .examples import BEGIN, FERRY, train_history, trips
from .kit import Kit

NAMES = ModelNames(FERRY)
DAY = BEGIN.replace(hour=0)
LINES = [line for line, _ in trips(DAY, 30, seed=100)]
COLUMNS = ("trip", "departure", "line", "delay", "cars")


@pytest.fixture(scope="module")
def ferry(kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> Kit:
    """A kit in which the ferry's first version serves."""
    file = tmp_path_factory.mktemp("history") / "trips.csv"
    file.write_text(train_history())
    kit.done("history", "import", FERRY, file)
    episode = kit.retrain(FERRY, "the first version")
    assert episode.status == "promoted", episode
    return kit


def _url(kit: Kit) -> str:
    outputs = kit.client("cloudformation").describe_stacks(StackName=NAMES.base)["Stacks"][0]["Outputs"]
    return str(next(output["OutputValue"] for output in outputs if "PredictionsUrl" in output["OutputKey"]))


def _post(kit: Kit, body: bytes, kind: str = "application/json", who: Credentials | None = None) -> tuple[int, Any]:
    """One request, signed for the URL that AWS would answer at and sent to the twin."""
    who = who or Credentials(kit.twin.access_key, kit.twin.secret_key)
    request = AWSRequest("POST", f"{_url(kit)}predictions", data=body, headers={"Content-Type": kind})
    if who.access_key:
        SigV4Auth(who, "lambda", kit.twin.region).add_auth(request)
    host = urlsplit(_url(kit)).netloc
    with closing(http.client.HTTPConnection(urlsplit(kit.twin.url).netloc)) as connection:
        connection.request("POST", "/predictions", body, {**dict(request.headers), "Host": host})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def _rows(lines: list[str]) -> bytes:
    rows: list[dict[str, Any]] = [dict(zip(COLUMNS, line.split(","), strict=True)) for line in lines]
    return json.dumps(
        {"rows": [row | {"delay": float(row["delay"]), "cars": int(row["cars"])} for row in rows]}
    ).encode()


def test_json_and_csv_are_answered_alike_and_counted_once(ferry: Kit) -> None:
    status, text = _post(ferry, _rows(LINES[:20]))
    assert status == 200, text
    told = json.loads(text)["predictions"]
    assert [row["id"] for row in told] == [line.split(",")[0] for line in LINES[:20]]
    status, text = _post(ferry, "\n".join(LINES[:20]).encode(), "text/csv")
    assert status == 200
    assert [float(line) for line in text.split()] == [row["probability"] for row in told]
    _post(ferry, "\n".join(LINES[20:]).encode(), "text/csv")
    ferry.settle()
    assert len(ferry.keys(f"capture/{NAMES.base}/")) == 3
    assert ferry.metric(FERRY, "RowsCounted") == 50
    assert ferry.metric(FERRY, "RowsQuarantined") == ferry.metric(FERRY, "CapturesLost") == 0


def test_a_prediction_can_be_traced_to_what_taught_the_version(ferry: Kit) -> None:
    _, text = _post(ferry, _rows(LINES[:1]).replace(b"T", b"U"))
    ferry.settle()
    told = json.loads(ferry.done("trace", json.loads(text)["predictions"][0]["id"], "--model", FERRY, "--json"))
    assert told["version"] == 1


def test_only_whoever_may_is_answered(ferry: Kit) -> None:
    assert _post(ferry, _rows(LINES[:1]), who=Credentials("", ""))[0] == 403
    iam, sts = ferry.client("iam"), ferry.client("sts")
    trust = {"Effect": "Allow", "Principal": {"AWS": ferry.twin.account}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = iam.create_role(RoleName="app", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    session = sts.assume_role(RoleArn=role, RoleSessionName="session")["Credentials"]
    caller = Credentials(session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])
    assert _post(ferry, _rows(LINES[:1]), who=caller)[0] == 403
    function = f"arn:aws:lambda:{ferry.twin.region}:{ferry.twin.account}:function:{NAMES.predict_function}"
    url = {"Effect": "Allow", "Action": "lambda:InvokeFunctionUrl", "Resource": function}
    invoke = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": function,
              "Condition": {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}}}  # fmt: skip
    for grants, status in (([url], 403), ([invoke], 403), ([url, invoke], 200)):
        policy = json.dumps({"Version": "2012-10-17", "Statement": grants})
        iam.put_role_policy(RoleName="app", PolicyName="p", PolicyDocument=policy)
        assert _post(ferry, _rows(LINES[:1]), who=caller)[0] == status


def test_what_no_model_is_asked_is_refused_with_its_place(ferry: Kit) -> None:
    ferry.settle()
    captured = len(ferry.keys(f"capture/{NAMES.base}/"))
    status, text = _post(ferry, _rows(LINES[:1]).replace(b'"cars"', b'"carts"'))
    assert status == 400
    assert {error["column"] for error in json.loads(text)["errors"]} == {"cars", "carts"}
    ferry.settle()
    assert len(ferry.keys(f"capture/{NAMES.base}/")) == captured


def test_labels_find_the_predictions(ferry: Kit) -> None:
    labels = [{"groundTruthData": {"data": str(label), "encoding": "CSV"},
               "eventMetadata": {"eventId": line.split(",")[0]}, "eventVersion": "0"}
              for line, label in trips(DAY, 30, seed=100)]  # fmt: skip
    ferry.put(f"labels/{FERRY}/today.jsonl", "\n".join(map(json.dumps, labels)).encode())
    ferry.settle()
    assert ferry.metric(FERRY, "LabelsJoined") == 30


def test_files_are_answered_on_schedule_and_counted_once(ferry: Kit) -> None:
    counted = ferry.metric(FERRY, "RowsCounted")
    lines = [line.replace("T", "F", 1) for line, _ in trips(DAY, 1200, seed=7)]
    ferry.put(f"batch/{FERRY}/requests/good.csv", "\n".join(lines).encode())
    ferry.put(f"batch/{FERRY}/requests/bad.csv", "\n".join([*lines[:3], lines[3].replace(",", ",x", 1)]).encode())
    ferry.move(ferry.now() + timedelta(hours=6))
    ferry.settle()
    answer, refusal = (ferry.keys(f"batch/{FERRY}/answers/{name}.csv/") for name in ("good", "bad"))
    told = dict(line.split(",") for line in ferry.read(answer[0]).decode().split())
    assert list(told) == [line.split(",")[0] for line in lines]
    assert [float(told[line.split(",")[0]]) for line in lines[:5]] == ferry.predict(FERRY, lines[:5])
    assert json.loads(ferry.read(refusal[0]))["reason"].startswith("row 4: ")
    assert (len(answer), len(refusal), ferry.waiting("batch"), ferry.waiting("batch-dlq")) == (1, 1, 0, 0)
    assert ferry.metric(FERRY, "RowsCounted") == counted + 1200
    traced = json.loads(ferry.done("trace", lines[0].split(",")[0], "--model", FERRY, "--json"))
    assert (traced["version"], traced["score"]) == (1, float(told[traced["id"]]))
    ferry.move(ferry.now() + timedelta(hours=6))
    ferry.settle()
    assert len(ferry.keys(f"batch/{FERRY}/jobs/")) == 4  # job, manifest, result and what became of it: no other job


def test_a_version_that_throws_is_taken_back_within_its_bake_time(ferry: Kit) -> None:
    champion = ferry.ledger.champion(FERRY)
    assert champion
    ferry.move(ferry.now() + timedelta(minutes=15))  # the first version is baked
    package = approved(ferry, FERRY, "throws")
    begun, failed = ferry.now(), 0
    while ferry.endpoint(FERRY) != ("InService", champion.config) and ferry.now() - begun < timedelta(hours=1):
        failed += _post(ferry, _rows(LINES[:1]))[0] != 200
        ferry.move(ferry.now() + timedelta(minutes=1))
        ferry.settle()
    assert failed > 0
    assert ferry.now() - begun <= timedelta(minutes=10), "one bake time"
    assert ferry.endpoint(FERRY) == ("InService", champion.config)
    described = ferry.client("sagemaker").describe_model_package(ModelPackageName=package)
    assert described["ModelApprovalStatus"] == "Rejected"
    assert "rang while version 2 was baking" in described["ApprovalDescription"]
    assert _post(ferry, _rows(LINES[:1]))[0] == 200
