"""The custom resource answers CloudFormation in every case."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from driftloop.aws.hosting import SageMakerHosting
from driftloop.aws.removal import EndpointRemoval
from driftloop.retraining.episode import Status
from functions.remove_endpoint.handler import handler
from tests.contract.test_hosting import PLAN
from tests.events import event
from tests.fakes import examples as ex
from tests.unit.functions.conftest import Account, Context


class CloudFormation:
    """Where the signed address leads."""

    def __init__(self) -> None:
        self.answers: list[dict[str, Any]] = []
        self.content_types: list[str | None] = []
        told = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                length = int(self.headers["Content-Length"])
                told.content_types.append(self.headers["Content-Type"])
                told.answers.append(json.loads(self.rfile.read(length)))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/signed?X-Amz-Signature=abc"


@pytest.fixture
def cloudformation() -> Iterator[CloudFormation]:
    made = CloudFormation()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def _call(name: str, cloudformation: CloudFormation, context: Context, **changes: Any) -> dict[str, Any]:
    handler({**event(name), "ResponseURL": cloudformation.url, **changes}, context)
    (answer,) = cloudformation.answers
    return answer


def _deploy(account: Account) -> None:
    hosting = SageMakerHosting(account.client("sagemaker"))
    hosting.prepare(ex.package(), PLAN)
    hosting.create(ex.BASE, PLAN.name)


@pytest.mark.parametrize("name", ["cloudformation_create", "cloudformation_update"])
def test_create_and_update_leave_everything(
    account: Account, context: Context, cloudformation: CloudFormation, name: str
) -> None:
    _deploy(account)
    account.ledger.set_champion(ex.NAME, ex.champion())
    answer = _call(name, cloudformation, context)
    assert account.ledger.champion(ex.NAME) == ex.champion()
    sent = event(name)
    assert answer == {
        "StackId": sent["StackId"],
        "RequestId": sent["RequestId"],
        "LogicalResourceId": sent["LogicalResourceId"],
        "PhysicalResourceId": ex.BASE,
        "Status": "SUCCESS",
        "Reason": "",
    }
    assert cloudformation.content_types == [""]  # the address is signed for an empty one
    assert len(account.client("sagemaker").list_endpoints()["Endpoints"]) == 1


def test_delete_removes_what_the_loop_made(account: Account, context: Context, cloudformation: CloudFormation) -> None:
    _deploy(account)
    account.ledger.set_champion(ex.NAME, ex.champion(3))
    account.ledger.claim(ex.episode(), ex.START)
    assert _call("cloudformation_delete", cloudformation, context)["Status"] == "SUCCESS"
    assert account.ledger.champion(ex.NAME) is None
    assert [episode.status for episode in account.episodes()] == [Status.FAILED]
    sagemaker = account.client("sagemaker")
    assert sagemaker.list_endpoints()["Endpoints"] == []
    assert sagemaker.list_endpoint_configs()["EndpointConfigs"] == []
    assert sagemaker.list_models()["Models"] == []


def test_a_failure_is_answered_with_its_reason(
    account: Account, context: Context, cloudformation: CloudFormation, monkeypatch: pytest.MonkeyPatch
) -> None:
    _deploy(account)
    account.ledger.set_champion(ex.NAME, ex.champion())
    monkeypatch.setattr(EndpointRemoval.__init__, "__defaults__", (0,))  # no time to wait
    answer = _call("cloudformation_delete", cloudformation, context)
    assert account.ledger.champion(ex.NAME) == ex.champion()  # it still serves
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("FAILED", ex.BASE)
    assert answer["Reason"].startswith("TimeoutError: endpoint driftloop-late-train is still there")


@pytest.mark.parametrize("properties", [{}, {"ServiceToken": "x"}])
def test_a_template_without_the_name_is_answered_too(
    account: Account, context: Context, cloudformation: CloudFormation, properties: dict[str, str]
) -> None:
    answer = _call("cloudformation_create", cloudformation, context, ResourceProperties=properties)
    assert answer["PhysicalResourceId"] == "endpoint"
