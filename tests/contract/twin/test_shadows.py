"""Shadow variants: copies of requests for a second model, which no client sees and no production metric shows."""

from __future__ import annotations

import os
import re
import signal
import time
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from driftloop.twin.lifecycle import Twin

from .cloud import IMAGE, Cloud, allow, code_of, message_of, until
from .test_endpoints import Endpoint, alarm, raise_alarm
from .test_kills import MODEL, killed, processes, resumed


class Shadowed(Endpoint):
    """An endpoint whose versions are pairs of words, ``production/shadow``, or one word without a shadow variant."""

    def __init__(self, cloud: Cloud, words: str = "one/uno", percent: int = 100, **weights: float) -> None:
        self.weights = weights
        super().__init__(cloud, words, percent)

    def config(self, word: str, more: dict[str, Any] | None = None) -> str:
        word, _, shadow = word.partition("/")
        if not shadow:
            return super().config(word, more)
        name = self.model(word)
        self.configure(
            name,
            ProductionVariants=[variant("v", name, self.weights.get("v"))],
            ShadowProductionVariants=[variant("s", self.model(shadow), self.weights.get("s"))],
        )
        return name

    def records(self) -> dict[str, list[dict[str, Any]]]:
        """Captured records by variant."""
        found: dict[str, list[dict[str, Any]]] = {"v": [], "s": []}
        for key, records in sorted(self.captured().items()):
            found[key.split("/")[2]] += records
        return found

    def answers(self, kind: str = "s") -> dict[str, int]:
        """How often each version's first word was captured of a variant."""
        outputs = [record["captureData"]["endpointOutput"]["data"] for record in self.records()[kind]]
        return dict(Counter(output.partition(":")[0] for output in outputs))

    def metric(self, name: str, kind: str, statistic: str = "Sum") -> float:
        """Sum of a metric of a variant."""
        self.cloud.settle()
        now = self.cloud.now()
        points = self.cloud.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/SageMaker", MetricName=name, Period=86400, Statistics=[statistic],
            Dimensions=[{"Name": "EndpointName", "Value": self.name}, {"Name": "VariantName", "Value": kind}],
            StartTime=now - timedelta(days=2), EndTime=now + timedelta(days=2),
        )["Datapoints"]  # fmt: skip
        return float(sum(point[statistic] for point in points))


def variant(name: str, model: str, weight: float | None = None, **more: Any) -> dict[str, Any]:
    found = {"VariantName": name, "ModelName": model, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1, **more}
    return found if weight is None else {**found, "InitialVariantWeight": weight}


@pytest.fixture(scope="module")
def endpoint(cloud: Cloud) -> Shadowed:
    """One whose shadow variant gets every request."""
    return Shadowed(cloud)


def test_it_is_described(endpoint: Shadowed) -> None:
    found = endpoint.describe()
    config = endpoint.client.describe_endpoint_config(EndpointConfigName=found["EndpointConfigName"])
    assert [v["VariantName"] for v in config["ProductionVariants"]] == ["v"]
    [shadow] = config["ShadowProductionVariants"]
    assert shadow == variant("s", shadow["ModelName"])
    assert shadow["ModelName"] != config["ProductionVariants"][0]["ModelName"]
    counts = {"CurrentInstanceCount": 1, "DesiredInstanceCount": 1, "CurrentWeight": 1.0, "DesiredWeight": 1.0}
    assert found["ProductionVariants"] == [{"VariantName": "v", **counts}]
    assert found["ShadowProductionVariants"] == [{"VariantName": "s", **counts}]


def test_copies_are_captured_and_counted_of_their_own(endpoint: Shadowed, cloud: Cloud) -> None:
    cloud.twin.move_clock(cloud.now().replace(minute=10, second=0) + timedelta(hours=1))
    hour = cloud.now()
    assert endpoint.ask("1,2", InferenceId="id-1") == "one:1,2"
    assert endpoint.ask("3,4") == "one:3,4"
    keys = sorted(endpoint.captured())
    assert len(keys) == 2
    for key, name in zip(keys, "sv", strict=True):
        assert re.fullmatch(rf"capture/{endpoint.name}/{name}/{hour:%Y/%m/%d/%H}/[0-9a-f-]+\.jsonl", key)
    records = endpoint.records()
    assert [len(records[kind]) for kind in "vs"] == [2, 2]
    for production, shadow in zip(records["v"], records["s"], strict=True):
        data = {kind: record["captureData"] for kind, record in (("v", production), ("s", shadow))}
        assert data["s"]["endpointInput"] == data["v"]["endpointInput"]
        answer = data["v"]["endpointOutput"]["data"].replace("one", "uno")
        assert data["s"]["endpointOutput"] == data["v"]["endpointOutput"] | {"data": answer}
        ids = [record["eventMetadata"].get("inferenceId") for record in (production, shadow)]
        assert ids == (["id-1"] * 2 if "1,2" in answer else [None] * 2)
        assert production["eventMetadata"]["eventId"] != shadow["eventMetadata"]["eventId"]
    for kind in "vs":
        assert endpoint.metric("Invocations", kind) == 2
        assert endpoint.metric("ModelLatency", kind, "SampleCount") == 2


SICK = """
from pathlib import Path
from sagemaker_inference.errors import GenericInferenceToolkitError
import time
def model_fn(model_dir):
    return Path(model_dir, "word.txt").read_text()
def input_fn(body, content_type):
    return body if isinstance(body, str) else bytes(body).decode()
def predict_fn(text, model):
    if model == "uno" and text == "bad":
        raise GenericInferenceToolkitError(400, "row 1: not a row")
    if model == "uno" and text == "poison":
        raise ValueError("poison")
    if model == "uno" and text == "slow":
        time.sleep(3)
    return model + ":" + text
def output_fn(answer, accept):
    return answer
"""


@pytest.fixture(scope="module")
def sick(cloud: Cloud) -> Shadowed:
    """One whose shadow variant fails and dawdles where the production variant does not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.contract.twin.test_endpoints.INFERENCE", SICK)
        return Shadowed(cloud)


def test_what_happens_to_a_copy_does_not_matter_to_clients(sick: Shadowed) -> None:
    begun = time.monotonic()
    assert [sick.ask(text) for text in ("slow", "bad", "poison", "ok")] == [
        "one:slow",
        "one:bad",
        "one:poison",
        "one:ok",
    ]
    assert time.monotonic() - begun < 2
    assert sick.answers() == {"uno": 2}, "a settled twin has answered the slow one"
    assert sick.answers("v") == {"one": 4}
    assert [sick.metric("Invocations", kind) for kind in "vs"] == [4, 4]
    assert [sick.metric("Invocation4XXErrors", kind) for kind in "vs"] == [0, 1]
    assert [sick.metric("Invocation5XXErrors", kind) for kind in "vs"] == [0, 1]
    assert sick.metric("ModelLatency", "s") > 3e6
    assert sick.metric("ModelLatency", "v") < 2e6


def test_a_moved_clock_finds_copies_answered_at_their_time(sick: Shadowed, cloud: Cloud) -> None:
    asked = cloud.now()
    sick.ask("slow", InferenceId="in time")
    cloud.move(days=1)
    told = [r["eventMetadata"] for r in sick.records()["s"]]
    [moment] = [m["inferenceTime"] for m in told if m.get("inferenceId") == "in time"]
    assert moment < f"{asked + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"


def test_errors_of_the_production_variant_are_copied_too(endpoint: Shadowed) -> None:
    before = [endpoint.metric("Invocation5XXErrors", kind) for kind in "vs"]
    assert code_of(lambda: endpoint.ask("poison")) == "ModelError"
    assert [endpoint.metric("Invocation5XXErrors", kind) for kind in "vs"] == [number + 1 for number in before]


@pytest.mark.parametrize(("weights", "share"), [({"v": 2, "s": 0.58}, 29), ({"v": 1, "s": 4}, 100), ({"s": 0}, 0)])
def test_the_weights_decide_the_share(cloud: Cloud, weights: dict[str, float], share: int) -> None:
    endpoint = Shadowed(cloud, **weights)
    assert endpoint.shares() == {"one": 100}
    assert [endpoint.metric("Invocations", kind) for kind in "vs"] == [100, share]
    [shadow] = endpoint.describe()["ShadowProductionVariants"]
    assert shadow["CurrentWeight"] == weights["s"]
    endpoint.client.delete_endpoint(EndpointName=endpoint.name)


def test_a_sample_of_both_is_captured(cloud: Cloud) -> None:
    endpoint = Shadowed(cloud, percent=50, s=0.5)
    endpoint.shares(80)
    assert {kind: len(records) for kind, records in endpoint.records().items()} == {"v": 40, "s": 20}


@pytest.mark.parametrize(("kind", "percent"), [("CANARY", 10), ("LINEAR", 50), ("CANARY", 100)])
def test_each_fleet_of_a_rollout_has_its_shadow(cloud: Cloud, kind: str, percent: int) -> None:
    before = processes(cloud.twin, MODEL)
    endpoint = Shadowed(cloud)
    old = processes(cloud.twin, MODEL) - before
    endpoint.update(endpoint.config("two/due"), percent=percent, kind=kind)
    first = {"one": 100 - percent, "two": percent} if percent < 100 else {"two": 100}
    assert endpoint.shares() == first
    assert endpoint.answers() == {{"one": "uno", "two": "due"}[word]: number for word, number in first.items()}
    assert len(processes(cloud.twin, MODEL) - before) == 4
    cloud.move(minutes=30)
    found = endpoint.describe()
    assert (found["EndpointStatus"], len(found["ShadowProductionVariants"])) == ("InService", 1)
    left = until(lambda: (now := processes(cloud.twin, MODEL) - before) and len(now) == 2 and now)
    assert not left & old
    endpoint.client.delete_endpoint(EndpointName=endpoint.name)
    assert processes(cloud.twin, MODEL) == before


def test_a_shadow_variant_comes_and_goes_with_the_configuration(cloud: Cloud) -> None:
    endpoint = Shadowed(cloud, "one")
    before = processes(cloud.twin, MODEL)
    assert "ShadowProductionVariants" not in endpoint.describe()
    for words, number in (("two/due", 1), ("three", 0)):
        endpoint.update(endpoint.config(words), wait=60)
        cloud.move(minutes=5)
        assert len(endpoint.describe().get("ShadowProductionVariants", ())) == number
        assert endpoint.shares(10) == {words.partition("/")[0]: 10}
        assert endpoint.answers() == {"due": 10}
    until(lambda: len(processes(cloud.twin, MODEL)) == len(before))


def test_an_alarm_rolls_both_back(cloud: Cloud) -> None:
    endpoint, name = Shadowed(cloud), alarm(cloud)
    before = processes(cloud.twin, MODEL)
    endpoint.update(endpoint.config("two/due"), percent=10, alarms=[name])
    assert len(processes(cloud.twin, MODEL) - before) == 2
    raise_alarm(cloud, name)
    assert endpoint.wait() == "InService"
    assert endpoint.shares(20) == {"one": 20}
    assert endpoint.answers() == {"uno": 20}
    until(lambda: processes(cloud.twin, MODEL) == before)


@pytest.mark.parametrize(("words", "said"), [("two/broken", "shadow variant s: "), ("broken/due", "")])
def test_what_cannot_start_is_rolled_back_with_its_other_half(cloud: Cloud, words: str, said: str) -> None:
    endpoint = Shadowed(cloud)
    before, old = processes(cloud.twin, MODEL), endpoint.describe()["EndpointConfigName"]
    endpoint.update(endpoint.config(words), percent=10)
    assert endpoint.wait() == "InService"
    found = endpoint.describe()
    assert found["EndpointConfigName"] == old
    assert found["FailureReason"].startswith(f"{said}the container did not pass the ping health check")
    assert "the model cannot be loaded" in found["FailureReason"]
    assert endpoint.shares(10) == {"one": 10}
    assert endpoint.answers() == {"uno": 10}
    assert processes(cloud.twin, MODEL) == before


def test_a_first_shadow_that_cannot_start_fails_the_endpoint(cloud: Cloud) -> None:
    before = processes(cloud.twin, MODEL)
    endpoint = Shadowed(cloud, "one/broken")
    assert endpoint.describe()["EndpointStatus"] == "Failed"
    assert endpoint.describe()["FailureReason"].startswith("shadow variant s: ")
    assert processes(cloud.twin, MODEL) == before


def test_a_shadow_whose_process_was_killed_is_started_again(cloud: Cloud) -> None:
    before = processes(cloud.twin, MODEL)
    endpoint = Shadowed(cloud)
    [_, pid] = sorted(processes(cloud.twin, MODEL) - before)
    os.kill(pid, signal.SIGKILL)
    asked = 0

    def is_answered() -> bool:
        nonlocal asked
        asked += 1
        assert endpoint.ask("x") == "one:x"
        return endpoint.metric("Invocations", "s") > 0

    until(is_answered, 60)
    assert endpoint.metric("Invocation5XXErrors", "s") == asked - 1
    assert endpoint.metric("Invocation5XXErrors", "v") == 0
    assert len(processes(cloud.twin, MODEL) - before) == 2


def test_a_kept_twin_goes_on_with_both(kept: list[Twin]) -> None:
    old = Cloud(kept[-1])
    endpoint = Shadowed(old)
    endpoint.update(endpoint.config("two/due"), percent=10)
    assert endpoint.shares() == {"one": 90, "two": 10}
    old.client("sqs").create_queue(QueueName="copies-are-answered")
    endpoint.metric("Invocations", "s")
    kept.append(killed(kept[-1]))
    new = Cloud(kept[-1])
    new.settle()
    again = resumed(endpoint, new)
    assert again.answers() == {"uno": 90, "due": 10}
    assert again.shares() == {"one": 90, "two": 10}
    assert again.answers() == {"uno": 180, "due": 20}
    new.move(minutes=30)
    found = again.describe()
    assert (found["EndpointStatus"], found["ShadowProductionVariants"][0]["VariantName"]) == ("InService", "s")
    config = again.client.describe_endpoint_config(EndpointConfigName=found["EndpointConfigName"])
    assert config["ShadowProductionVariants"][0]["VariantName"] == "s"


PLAIN, OTHER = variant("v", "shadowed"), variant("s", "shadowed")
SERVERLESS = {"ModelName": "shadowed", "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 2}}


@pytest.mark.parametrize(
    ("production", "shadow", "more", "said"),
    [
        ([PLAIN], [OTHER, variant("t", "shadowed")], {}, "exactly one production variant and one shadow variant"),
        ([PLAIN, variant("w", "shadowed")], [OTHER], {}, "exactly one production variant and one shadow variant"),
        ([PLAIN], [variant("v", "shadowed")], {}, "Variant names must be unique"),
        ([PLAIN], [SERVERLESS | {"VariantName": "s"}], {}, "ShadowProductionVariants: with a shadow variant"),
        ([SERVERLESS | {"VariantName": "v"}], [OTHER], {}, "ProductionVariants: with a shadow variant"),
        ([PLAIN], [{"VariantName": "s", "ModelName": "shadowed"}], {}, "InstanceType, InitialInstanceCount missing"),
        ([variant("v", "shadowed", 0)], [OTHER], {}, "InitialVariantWeight of the production variant"),
        ([PLAIN], [variant("s", "absent")], {}, "Could not find model"),
        (
            [PLAIN], [OTHER], {"AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": "s3://b/o"}}},
            "AsyncInferenceConfig",
        ),
    ],
)  # fmt: skip
def test_what_sagemaker_refuses_is_refused(
    cloud: Cloud, production: list[Any], shadow: list[Any], more: dict[str, Any], said: str
) -> None:
    refused = creation(cloud, production, shadow, more)
    assert code_of(refused) == "ValidationException"
    assert said in message_of(refused)


@pytest.mark.parametrize("place", ["ProductionVariants", "ShadowProductionVariants"])
def test_what_the_twin_would_ignore_is_refused(cloud: Cloud, place: str) -> None:
    variants = {"ProductionVariants": PLAIN, "ShadowProductionVariants": OTHER}
    variants[place] = {**variants[place], "VolumeSizeInGB": 8}
    refused = creation(cloud, *([found] for found in variants.values()))
    assert code_of(refused) == "TwinNotSupported"
    assert message_of(refused).endswith(f"VolumeSizeInGB in {place}")


def creation(cloud: Cloud, production: list[Any], shadow: list[Any], more: dict[str, Any] | None = None) -> Any:
    """Creates a configuration of the model ``shadowed``."""
    client = cloud.client("sagemaker")
    if not client.list_models(NameContains="shadowed")["Models"]:
        container = {"Image": IMAGE, "ModelDataUrl": "s3://b/m"}
        role = cloud.role(allow("s3:GetObject"))
        client.create_model(ModelName="shadowed", ExecutionRoleArn=role, PrimaryContainer=container)
    return lambda: client.create_endpoint_config(
        EndpointConfigName="refused", ProductionVariants=production, ShadowProductionVariants=shadow, **(more or {})
    )
