"""Batch transform: a model's real process answers the objects of a prefix with its role's permissions."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from .cloud import IMAGE, Cloud, allow, code_of, message_of, until
from .test_events import rule
from .work import archive, s3_role

INFERENCE = """
import os
import time
from pathlib import Path
from sagemaker_inference.errors import GenericInferenceToolkitError
asked = 0
def model_fn(model_dir):
    word = Path(model_dir, "word.txt").read_text()
    if word == "broken":
        raise LookupError("the model cannot be loaded")
    return word
def input_fn(body, content_type):
    return body if isinstance(body, str) else bytes(body).decode()
def predict_fn(text, model):
    global asked
    asked += 1
    rows = text.splitlines()
    for number, row in enumerate(rows, start=1):
        name = row.split(",")[0]
        if name == "bad":
            raise GenericInferenceToolkitError(400, f"row {number}: not a row")
        if name == "poison":
            raise ValueError("poison")
        if name == "slow":
            time.sleep(60)
        if name == "die":
            os._exit(1)
        if name == "short":
            return "1\\n"
        if name == "environment":
            return ";".join(f"{k}={v}" for k, v in sorted(os.environ.items())) + "\\n"
    return "".join(f"{model}{asked}of{len(rows)}\\n" for _ in rows)
def output_fn(answer, accept):
    return answer, accept
"""
TRANSFORM = "SageMaker Transform Job State Change"


class Batch:
    """A bucket with files, and a model for them."""

    def __init__(self, cloud: Cloud, word: str = "m", role: str = "", **settings: str) -> None:
        self.cloud, self.bucket, self.model = cloud, cloud.bucket(), cloud.name("model")
        self.client = cloud.client("sagemaker")
        self.put("model.tar.gz", archive(INFERENCE, **{"word.txt": word}))
        self.role = role or s3_role(cloud, self.bucket, actions=["s3:GetObject", "s3:PutObject", "s3:ListBucket"])
        container = {
            "Image": IMAGE, "ModelDataUrl": self.uri("model.tar.gz"),
            "Environment": {"SAGEMAKER_PROGRAM": "inference.py", "COLOUR": "red", **settings},
        }  # fmt: skip
        self.client.create_model(ModelName=self.model, ExecutionRoleArn=self.role, PrimaryContainer=container)

    def uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"

    def put(self, key: str, content: str | bytes) -> None:
        body = content.encode() if isinstance(content, str) else content
        self.cloud.client("s3").put_object(Bucket=self.bucket, Key=key, Body=body)

    def out(self) -> dict[str, str]:
        """Content of each result."""
        s3 = self.cloud.client("s3")
        keys = [o["Key"] for o in s3.list_objects_v2(Bucket=self.bucket, Prefix="out/").get("Contents", ())]
        bodies = {key: s3.get_object(Bucket=self.bucket, Key=key)["Body"].read() for key in keys}
        return {key.removeprefix("out/"): body.decode() for key, body in bodies.items()}

    def request(self, uri: str = "", kind: str = "S3Prefix", **more: Any) -> dict[str, Any]:
        return {
            "TransformJobName": self.cloud.name("transform"), "ModelName": self.model,
            "TransformInput": {
                "DataSource": {"S3DataSource": {"S3DataType": kind, "S3Uri": uri or self.uri("in/")}},
                "ContentType": "text/csv", "SplitType": "Line",
            },
            "TransformOutput": {"S3OutputPath": self.uri("out"), "Accept": "text/csv", "AssembleWith": "Line"},
            "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        } | more  # fmt: skip

    def start(self, request: dict[str, Any]) -> str:
        arn = self.client.create_transform_job(**request)["TransformJobArn"]
        name = str(request["TransformJobName"])
        assert arn == self.cloud.arn("sagemaker", f"transform-job/{name}")
        return name

    def describe(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client.describe_transform_job(TransformJobName=name)
        return found

    def ended(self, name: str) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            told = self.describe(name)
            return None if told["TransformJobStatus"] in ("InProgress", "Stopping") else told

        told: dict[str, Any] = until(found, 30)
        return told

    def run(self, uri: str = "", kind: str = "S3Prefix", **more: Any) -> dict[str, Any]:
        return self.ended(self.start(self.request(uri, kind, **more)))

    def failed(self, *arguments: Any, **more: Any) -> str:
        """The reason why a job fails."""
        found = self.run(*arguments, **more)
        assert found["TransformJobStatus"] == "Failed"
        return str(found["FailureReason"])


@pytest.fixture
def batch(cloud: Cloud) -> Batch:
    return Batch(cloud)


def test_every_file_of_a_prefix_has_a_result_in_its_own_order(batch: Batch) -> None:
    batch.put("in/a.csv", "1,x\n2,y\n")
    batch.put("in/deep/b.csv", "3,z")
    batch.put("in/empty/", "")
    batch.put("input.csv", "not below the prefix")
    found = batch.run()
    assert found["TransformJobStatus"] == "Completed", found.get("FailureReason")
    assert batch.out() == {"a.csv.out": "m1of2\nm1of2\n", "deep/b.csv.out": "m2of1\n"}
    assert found["ModelName"] == batch.model
    assert found["CreationTime"] <= found["TransformStartTime"] <= found["TransformEndTime"]
    assert found["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"] == batch.uri("in/")
    assert "FailureReason" not in found


def test_results_are_named_from_the_prefixs_last_folder_on(batch: Batch) -> None:
    batch.put("in/day/part-1.csv", "1\n")
    batch.put("in/day/part-2.csv", "2\n")
    batch.put("in/day/other.csv", "3\n")
    batch.run(batch.uri("in/day/part"))
    assert set(batch.out()) == {"part-1.csv.out", "part-2.csv.out"}
    batch.run(batch.uri("in/day/other.csv"))
    assert set(batch.out()) == {"part-1.csv.out", "part-2.csv.out", "other.csv.out"}
    batch.run(batch.uri("in/day"))
    assert set(batch.out()) > {"day/other.csv.out", "day/part-1.csv.out"}


def test_a_file_with_a_bad_record_has_no_result_and_the_others_do(batch: Batch) -> None:
    for name, rows in {"a": "1\n", "b": "2\nbad,3\n", "c": "poison\n", "d": "4\n"}.items():
        batch.put(f"in/{name}.csv", rows)
    reason = batch.failed()
    assert set(batch.out()) == {"a.csv.out", "d.csv.out"}
    assert f"{batch.uri('in/b.csv')}: the model answered 400: row 2: not a row" in reason
    assert f"{batch.uri('in/c.csv')}: the model answered 500: poison" in reason
    assert reason.startswith("AlgorithmError: ")
    assert batch.failed(batch.uri("in/b.csv")).startswith(f"ClientError: {batch.uri('in/b.csv')}")


def test_rows_are_joined_with_their_answers(batch: Batch) -> None:
    batch.put("in/a.csv", '1,x,"y, z"\r\n2,v,w\n')
    everything = batch.run(DataProcessing={"InputFilter": "$", "JoinSource": "Input"})
    assert everything["TransformJobStatus"] == "Completed", everything.get("FailureReason")
    assert batch.out() == {"a.csv.out": '1,x,"y, z",m1of2\n2,v,w,m1of2\n'}
    batch.run(DataProcessing={"JoinSource": "Input", "OutputFilter": "$[0,-1]"})
    assert batch.out() == {"a.csv.out": "1,m1of2\n2,m1of2\n"}
    batch.run(DataProcessing={"JoinSource": "None", "OutputFilter": "$"})
    assert batch.out() == {"a.csv.out": "m1of2\nm1of2\n"}
    assert "a row of 4 columns" in batch.failed(DataProcessing={"JoinSource": "Input", "OutputFilter": "$[0,9]"})


def test_a_manifest_names_the_files(batch: Batch) -> None:
    for name in ("a", "b", "c"):
        batch.put(f"in/2013/{name}.csv", f"{name}\n")
    batch.put("in/list.json", json.dumps([{"prefix": batch.uri("in/")}, "2013/a.csv", "2013/c.csv"]))
    found = batch.run(batch.uri("in/list.json"), "ManifestFile")
    assert found["TransformJobStatus"] == "Completed", found.get("FailureReason")
    assert set(batch.out()) == {"2013/a.csv.out", "2013/c.csv.out"}
    batch.put("in/list.json", json.dumps([{"prefix": batch.uri("in/")}, "2013/b.csv", "absent.csv"]))
    assert f"{batch.uri('in/absent.csv')}: " in batch.failed(batch.uri("in/list.json"), "ManifestFile")
    assert "2013/b.csv.out" in batch.out()
    for text in ("[]", "{}", '["a"]', "x", json.dumps([{"prefix": batch.uri("in/")}])):
        batch.put("in/list.json", text)
        assert "list.json is not a manifest" in batch.failed(batch.uri("in/list.json"), "ManifestFile")


def test_a_file_becomes_as_few_requests_as_the_payload_allows(batch: Batch) -> None:
    rows = 50_000
    batch.put("in/a.csv", "".join(f"{number:06},{'x' * 43}\n" for number in range(rows)))
    found = batch.run(MaxPayloadInMB=1, BatchStrategy="MultiRecord")
    assert found["TransformJobStatus"] == "Completed", found.get("FailureReason")
    first = (1 << 20) // 51
    answers = batch.out()["a.csv.out"].splitlines()
    assert answers == [f"m1of{first}"] * first + [f"m2of{first}"] * first + [f"m3of{rows - 2 * first}"] * (
        rows - 2 * first
    )
    batch.put("in/a.csv", "1\n2\n3")
    batch.run(BatchStrategy="SingleRecord")
    assert batch.out()["a.csv.out"] == "m1of1\nm2of1\nm3of1\n"


def test_a_file_that_is_not_cut_is_one_request(batch: Batch) -> None:
    batch.put("in/a.csv", "1\n2\n3")
    request = batch.request()
    del request["TransformInput"]["SplitType"], request["TransformOutput"]["AssembleWith"]
    batch.ended(batch.start(request))
    assert batch.out()["a.csv.out"] == "m1of3\n" * 3
    batch.put("in/a.csv", "1" * (2 << 20))
    assert "larger than MaxPayloadInMB" in batch.failed(MaxPayloadInMB=1)


def test_too_few_answers_fail_the_file(batch: Batch) -> None:
    batch.put("in/a.csv", "short\n2\n")
    assert "a.csv: the model answered 2 records with 1 lines" in batch.failed()
    assert batch.out() == {}


def test_results_are_encrypted_with_a_key(batch: Batch) -> None:
    batch.put("in/a.csv", "1\n")
    key = batch.cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
    request = batch.request()
    request["TransformOutput"]["KmsKeyId"] = key
    found = batch.ended(batch.start(request))
    assert found["TransformJobStatus"] == "Completed", found.get("FailureReason")
    head = batch.cloud.client("s3").head_object(Bucket=batch.bucket, Key="out/a.csv.out")
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)


def test_the_models_role_reads_and_writes(cloud: Cloud, batch: Batch) -> None:
    batch.put("in/a.csv", "1\n")
    resources = [f"arn:aws:s3:::{batch.bucket}", f"arn:aws:s3:::{batch.bucket}/*"]
    name = batch.role.rpartition("/")[2]

    def reason(*statements: Any) -> str:
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        cloud.client("iam").put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document)
        return batch.failed()

    model = allow("s3:GetObject", f"arn:aws:s3:::{batch.bucket}/model.tar.gz")
    assert "AccessDenied" in reason(allow("sqs:*"))
    assert "AccessDenied" in reason(allow("s3:ListBucket", resources))
    assert "a.csv: An error occurred (AccessDenied)" in reason(allow("s3:ListBucket", resources), model)
    assert "PutObject" in reason(allow(["s3:ListBucket", "s3:GetObject"], resources))
    assert batch.out() == {}


def test_no_input_fails_the_job(batch: Batch) -> None:
    assert batch.failed() == f"ClientError: No S3 objects found under S3 URL '{batch.uri('in/')}'"


def test_a_model_that_cannot_be_loaded_fails_the_job(cloud: Cloud) -> None:
    batch = Batch(cloud, "broken")
    batch.put("in/a.csv", "1\n")
    reason = batch.failed()
    assert reason.startswith("AlgorithmError: ")
    assert "the model cannot be loaded" in reason
    batch.put("model.tar.gz", "no archive")
    assert "model.tar.gz is not an archive" in batch.failed()


def test_a_model_that_dies_fails_the_job(batch: Batch) -> None:
    for name, row in (("a", "1"), ("b", "die"), ("c", "2")):
        batch.put(f"in/{name}.csv", f"{row}\n")
    assert batch.failed().startswith(f"AlgorithmError: {batch.uri('in/b.csv')}: the container does not answer")
    assert set(batch.out()) == {"a.csv.out"}


def test_its_process_knows_of_the_batch(batch: Batch) -> None:
    batch.put("in/a.csv", "environment\n")
    batch.run(Environment={"COLOUR": "blue"}, MaxPayloadInMB=2, MaxConcurrentTransforms=4, BatchStrategy="MultiRecord")
    told = dict(item.split("=", 1) for item in batch.out()["a.csv.out"].strip().split(";"))
    assert told["COLOUR"] == "blue"
    assert (told["SAGEMAKER_BATCH"], told["SAGEMAKER_BATCH_STRATEGY"]) == ("true", "MULTI_RECORD")
    assert (told["SAGEMAKER_MAX_PAYLOAD_IN_MB"], told["SAGEMAKER_MAX_CONCURRENT_TRANSFORMS"]) == ("2", "4")


def test_its_states_become_events(cloud: Cloud, batch: Batch) -> None:
    url = rule(cloud, {"source": ["aws.sagemaker"], "detail-type": [TRANSFORM], "detail": {"ModelName": [batch.model]}})
    batch.put("in/a.csv", "1\n")
    done = batch.run(MaxPayloadInMB=2)
    batch.put("in/a.csv", "bad\n")
    bad = batch.run()
    cloud.settle()
    events = [json.loads(body) for body in cloud.take(url)]
    told = [(e["detail"]["TransformJobName"], e["detail"]["TransformJobStatus"]) for e in events]
    first, second = done["TransformJobName"], bad["TransformJobName"]
    assert told == [(first, "InProgress"), (first, "Completed"), (second, "InProgress"), (second, "Failed")]
    begun, ended, _, failed = (event["detail"] for event in events)
    assert [event["resources"] for event in events[:2]] == [[done["TransformJobArn"]]] * 2
    assert ended["TransformJobArn"] == done["TransformJobArn"]
    assert ended["TransformInput"] == done["TransformInput"]
    assert ended["TransformOutput"] == done["TransformOutput"]
    assert ended["TransformResources"] == done["TransformResources"]
    assert (ended["MaxPayloadInMB"], "MaxPayloadInMB" in failed) == (2, False)
    assert abs(ended["CreationTime"] - done["CreationTime"].timestamp() * 1000) <= 1
    assert ended["CreationTime"] <= ended["TransformStartTime"] <= ended["TransformEndTime"]
    assert "TransformEndTime" not in begun
    assert ("FailureReason" in ended, failed["FailureReason"]) == (False, bad["FailureReason"])


def test_a_job_can_be_stopped(cloud: Cloud, batch: Batch) -> None:
    url = rule(cloud, {"detail-type": [TRANSFORM], "detail": {"ModelName": [batch.model]}})
    batch.put("in/a.csv", "1\n")
    batch.put("in/b.csv", "slow\n")
    name = batch.start(batch.request())
    until(batch.out)
    batch.client.stop_transform_job(TransformJobName=name)
    found = batch.ended(name)
    assert (found["TransformJobStatus"], "FailureReason" in found) == ("Stopped", False)
    batch.client.stop_transform_job(TransformJobName=name)
    assert batch.describe(name)["TransformJobStatus"] == "Stopped"
    at_once = batch.start(batch.request())
    batch.client.stop_transform_job(TransformJobName=at_once)
    assert batch.ended(at_once)["TransformJobStatus"] == "Stopped"
    cloud.settle()
    told = [json.loads(body)["detail"]["TransformJobStatus"] for body in cloud.take(url)]
    assert told == ["InProgress", "Stopped"] * 2


def test_jobs_are_listed(batch: Batch) -> None:
    names = []
    for _ in range(3):
        batch.cloud.move(minutes=1)
        names.append(batch.start(batch.request()))
    found = [batch.ended(name) for name in names]
    client = batch.client

    def listed(**more: Any) -> list[str]:
        return [job["TransformJobName"] for job in client.list_transform_jobs(**more)["TransformJobSummaries"]]

    # Times are sent in whole seconds.
    since = found[0]["CreationTime"] - timedelta(seconds=30)
    assert listed(CreationTimeAfter=since) == names[::-1]
    assert listed(CreationTimeAfter=since, SortOrder="Ascending") == names
    assert listed(CreationTimeBefore=since + timedelta(minutes=1), CreationTimeAfter=since) == names[:1]
    assert listed(NameContains=names[1], StatusEquals="Failed") == names[1:2]
    assert listed(NameContains=names[1], StatusEquals="Completed") == []
    assert listed(NameContains="transform-", SortBy="Name", MaxResults=100) == sorted(
        listed(NameContains="transform-", MaxResults=100), reverse=True
    )
    first = client.list_transform_jobs(CreationTimeAfter=since, MaxResults=2)
    assert listed(CreationTimeAfter=since, MaxResults=2, NextToken=first["NextToken"]) == names[:1]
    summary = first["TransformJobSummaries"][0]
    assert summary["FailureReason"] == found[2]["FailureReason"]
    assert summary["TransformEndTime"] == summary["LastModifiedTime"] == found[2]["TransformEndTime"]
    assert "LastModifiedTimeAfter" in message_of(lambda: client.list_transform_jobs(LastModifiedTimeAfter=since))


def test_a_name_is_used_once_and_a_model_must_exist(batch: Batch) -> None:
    request = batch.request()
    batch.start(request)
    assert code_of(lambda: batch.start(request)) == "ResourceInUse"
    assert "Could not find" in message_of(lambda: batch.start(batch.request(ModelName="absent")))
    assert "Could not find" in message_of(lambda: batch.describe("absent"))


def test_permission_is_for_the_job(cloud: Cloud, batch: Batch) -> None:
    name = batch.start(batch.request())
    actions = ["sagemaker:CreateTransformJob", "sagemaker:DescribeTransformJob", "sagemaker:StopTransformJob"]
    for target, refused in ((name, False), ("other", True)):
        caller = cloud.caller("sagemaker", allow(actions, cloud.arn("sagemaker", f"transform-job/{target}")))
        calls: list[Callable[[], Any]] = [
            lambda c=caller: c.describe_transform_job(TransformJobName=name),  # type: ignore[misc]
            lambda c=caller: c.stop_transform_job(TransformJobName=name),  # type: ignore[misc]
        ]
        for call in calls:
            if refused:
                assert code_of(call).startswith("AccessDenied")
            else:
                call()
        again = batch.request() | {"TransformJobName": name}
        expected = "AccessDenied" if refused else "ResourceInUse"
        assert code_of(lambda c=caller, r=again: c.create_transform_job(**r)).startswith(expected)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"DataCaptureConfig": {"DestinationS3Uri": "s3://b/c"}}, "DataCaptureConfig"),
        ({"ModelClientConfig": {"InvocationsMaxRetries": 1}}, "ModelClientConfig"),
        ({"ExperimentConfig": {"ExperimentName": "e"}}, "ExperimentConfig"),
        ({"MaxPayloadInMB": 0}, "MaxPayloadInMB 0"),
        ({"MaxPayloadInMB": 60, "MaxConcurrentTransforms": 2}, "must not exceed 100 MB"),
        ({"TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 2}}, "several instances"),
        ({"TransformInput.CompressionType": "Gzip"}, "CompressionType Gzip"),
        ({"TransformInput.SplitType": "RecordIO"}, "SplitType RecordIO"),
        ({"TransformInput.ContentType": "application/json", "TransformOutput.Accept": "application/json",
          "DataProcessing": {"JoinSource": "Input"}}, "JoinSource Input of anything but text/csv"),
        ({"TransformOutput.AssembleWith": "None", "DataProcessing": {"JoinSource": "Input"}}, "must be Line"),
        ({"TransformOutput.Accept": "", "DataProcessing": {"JoinSource": "Input"}}, "must be the same"),
        ({"DataProcessing": {"InputFilter": "$[1:]"}}, "InputFilter '$[1:]'"),
        ({"DataProcessing": {"OutputFilter": "$[1:]", "JoinSource": "Input"}}, "the filter '$[1:]'"),
        ({"DataProcessing": {"OutputFilter": "$[0]"}}, "an OutputFilter without JoinSource"),
        ({"TransformOutput.S3OutputPath": "https://bucket/key"}, "is not an S3 URI"),
    ],
)  # fmt: skip
def test_what_a_job_cannot_be_is_refused_when_it_is_created(batch: Batch, change: dict[str, Any], said: str) -> None:
    request = batch.request()
    for place, value in change.items():
        *outer, field = place.split(".")
        target = request[outer[0]] if outer else request
        target[field] = value
    assert said in message_of(lambda: batch.start(request))
    assert "Could not find" in message_of(lambda: batch.describe(request["TransformJobName"]))


def test_jobs_leave_no_folders_and_no_processes(batch: Batch) -> None:
    batch.put("in/a.csv", "1\n")
    before = set((batch.cloud.twin.folder / "endpoints").iterdir())
    batch.run()
    batch.cloud.settle()
    assert set((batch.cloud.twin.folder / "endpoints").iterdir()) <= before
    assert [path.name for path in (batch.cloud.twin.folder / "jobs").iterdir() if path.is_dir()] == []
