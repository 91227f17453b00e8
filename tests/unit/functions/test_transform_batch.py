"""transform_batch, called as Lambda calls it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from functions.transform_batch.handler import handler
from tests.contract.test_services import put_parameter
from tests.events import batch, event
from tests.fakes import examples as ex
from tests.unit.functions.conftest import Account, Context

DONE: dict[str, Any] = {"batchItemFailures": []}
FAILED = {"batchItemFailures": [{"itemIdentifier": "m0"}]}
DUE = {"model": ex.NAME, "time": "2026-03-03T00:00:00Z"}
JOB = f"{ex.BASE}-20260303000000"
ROOT = f"batch/{ex.NAME}"


@pytest.fixture
def asked(account: Account) -> Account:
    """A model that answers files, a version that serves and a file that waits."""
    put_parameter(account.client("ssm"), ex.NAME, serving={"batch": {"every": "1d"}})
    account.ledger.set_champion(ex.NAME, ex.champion())
    account.put(f"{ROOT}/requests/a.csv", b"t1,2026-03-02T10:00:00Z,north,1\n")
    return account


def test_a_file_becomes_a_job_and_the_job_an_answer(asked: Account, context: Context) -> None:
    assert handler(batch(DUE), context) == DONE
    job = asked.client("sagemaker").describe_transform_job(TransformJobName=JOB)
    assert job["ModelName"] == f"{ex.BASE}-v1"
    asked.put(f"{ROOT}/jobs/{JOB}/out/a.csv.out", b"t1,0.25\n")
    assert handler(batch(event("transform_job_state_change")), context) == DONE
    keys = asked.client("s3").list_objects_v2(Bucket=ex.LIVE, Prefix=f"{ROOT}/answers/a.csv/")["Contents"]
    assert [key["Key"].rpartition(".")[2] for key in keys] == ["csv"]
    (capture,) = asked.client("s3").list_objects_v2(Bucket=ex.LIVE, Prefix="capture/")["Contents"]
    record = asked.client("s3").get_object(Bucket=ex.LIVE, Key=capture["Key"])["Body"].read()
    assert json.loads(record)["captureData"]["endpointOutput"]["data"] == "0.25"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"model": "../x", "time": "2026-03-03T00:00:00Z"},
        {"model": ex.NAME, "time": "soon"},
        {"detail-type": "SageMaker Transform Job State Change", "detail": {}},
    ],
)
def test_what_it_cannot_do_goes_back_to_the_queue(asked: Account, context: Context, body: dict[str, Any]) -> None:
    assert handler(batch(body), context) == FAILED


@pytest.mark.parametrize("name", ["somebody-elses", "driftloop-gone-1", f"{ex.BASE}-by-hand"])
def test_jobs_of_others_are_none_of_its_business(asked: Account, context: Context, name: str) -> None:
    news = event("transform_job_state_change")
    news["detail"]["TransformJobName"] = name
    assert handler(batch(news), context) == DONE
