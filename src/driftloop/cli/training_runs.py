"""Every execution of a model's pipeline as one tracked run: what went in, what came out, who asked, what became of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from driftloop.aws.hosting import SageMakerHosting
from driftloop.cli.cloud import Cloud
from driftloop.cli.lineage import DataSet, data_set, if_there
from driftloop.cli.words import stamp
from driftloop.data.archives import read_members
from driftloop.data.manifests import MANIFEST
from driftloop.names import parse_uri
from driftloop.ports import Model, NotFoundError, Package
from driftloop.retraining.episode import Episode

_THREADS = 8
_EVER = datetime(1970, 1, 1, tzinfo=UTC)
_STATUS = {"Succeeded": "FINISHED", "Failed": "FAILED", "Stopped": "KILLED", "Stopping": "KILLED"}
"""Of SageMaker -> of MLflow; whatever else is running."""
_MEMBERS = ("training.json", "spec.json")
_PARAMETERS = ("window", "holdout", "half_life", "script", "seed")
"""Of ``training`` in the model file."""

Json = dict[str, Any]


@dataclass(frozen=True)
class _Known:
    """What is looked up once for all runs of a model."""

    episodes: Mapping[str, Episode]
    """By the ARN of their execution."""
    packages: Mapping[str, Package]
    """By the id of the execution that registered them."""
    sagemaker: Any
    champion: str
    """ARN of the version that serves."""


def training_runs(cloud: Cloud, model: Model) -> list[Json]:
    """All runs, oldest first; each has ``execution``, ``name``, ``start`` and ``end`` (milliseconds), ``status``, ``params``,
    ``metrics``, ``tags``, ``datasets``, ``artifacts``, ``inputs`` and ``version``.

    What has been deleted since is left out.
    """
    pages = cloud.client("sagemaker").get_paginator("list_pipeline_executions")
    found = [
        execution
        for page in pages.paginate(PipelineName=model.resources.pipeline)
        for execution in page["PipelineExecutionSummaries"]
    ]
    champion = cloud.ledger.champion(model.name)
    cloud.bucket("curated")  # asks who the caller is, once and before there are threads
    known = _Known(
        {one.pipeline_execution_arn: one for one in cloud.ledger.episodes(model.name, _EVER)},
        _packages(cloud, model),
        cloud.client("sagemaker"),
        champion.package_arn if champion else "",
    )
    with ThreadPoolExecutor(_THREADS) as pool:
        runs = list(pool.map(lambda summary: if_there(lambda: _run(cloud, model, known, summary)), found))
    return sorted((run for run in runs if run), key=lambda run: (run["start"], run["execution"]))


def _packages(cloud: Cloud, model: Model) -> dict[str, Package]:
    client = cloud.client("sagemaker")
    pages = client.get_paginator("list_model_packages").paginate(ModelPackageGroupName=model.resources.group)
    arns = [item["ModelPackageArn"] for page in pages for item in page["ModelPackageSummaryList"]]
    with ThreadPoolExecutor(_THREADS) as pool:
        hosting = SageMakerHosting(client)
        found = list(pool.map(lambda arn: if_there(lambda: hosting.package(arn)), arns))
    packages = [package for package in found if package]
    # s3://<bucket>/evaluations/<model>/<execution>/evaluation.json
    places = {package.properties.get("evaluation_uri", ""): package for package in packages}
    return {uri.split("/")[5]: package for uri, package in places.items() if uri.count("/") >= 5}


def _run(cloud: Cloud, model: Model, known: _Known, summary: Mapping[str, Any]) -> Json:
    arn = str(summary["PipelineExecutionArn"])
    execution = arn.rpartition("/")[2]
    described = known.sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
    status = _STATUS.get(described["PipelineExecutionStatus"], "RUNNING")
    episode, package = known.episodes.get(arn), known.packages.get(execution)
    data = data_set(cloud, model.name, execution)
    evaluation = _evaluation(cloud, model, execution)
    # What a run was made from may still change until it has ended.
    uri, members = ("", {}) if status == "RUNNING" else _archive(cloud, model, execution, package)
    record, spec = members.get("training.json", {}), members.get("spec.json", {})
    trigger = str(episode.trigger) if episode else "manual"
    manifest = {MANIFEST: dict(data.manifest)} if data else {}
    return {
        "execution": execution,
        "name": f"{stamp(summary['StartTime'])} {trigger}" + (f", version {package.version}" if package else ""),
        "start": _milliseconds(summary["StartTime"]),
        "end": None if status == "RUNNING" else _milliseconds(described["LastModifiedTime"]),
        "status": status,
        "params": _params(spec, record, episode),
        "metrics": dict(_metrics(record, evaluation)),
        "tags": _tags(model, described, episode, package, evaluation, uri, known.champion),
        "datasets": _datasets(model, data),
        "artifacts": manifest | members | ({"evaluation.json": evaluation} if evaluation else {}),
        "inputs": [[name, feature["type"]] for name, feature in spec.get("data", {}).get("features", {}).items()],
        "version": package and {
            "arn": package.arn, "number": package.version, "source": package.model_data_url,
            "approval": package.approval, "serves": package.arn == known.champion,
        },
    }  # fmt: skip


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _evaluation(cloud: Cloud, model: Model, execution: str) -> Json:
    key = f"evaluations/{model.name}/{execution}/evaluation.json"
    read: Json | None = if_there(lambda: json.loads(cloud.objects.read(cloud.bucket("artifacts"), key)))
    return read or {}


def _archive(cloud: Cloud, model: Model, execution: str, package: Package | None) -> tuple[str, dict[str, Json]]:
    """URI of the archive of the version that was registered, or else of the one that was judged, and files in it."""
    bucket, prefix = cloud.bucket("artifacts"), f"models/{model.name}/{execution}/"
    archives = [key for key in cloud.objects.keys(bucket, prefix) if key.endswith("/model.tar.gz")]
    # <job>/output/model.tar.gz; the job's name ends with the step and a random part.
    archives.sort(key=lambda key: "-Refit-" in key)
    uri = package.model_data_url if package else f"s3://{bucket}/{archives[-1]}" if archives else ""
    return uri, _members(cloud, uri) if uri else {}


def _members(cloud: Cloud, uri: str) -> dict[str, Json]:
    """The files of an archive that say what it was made from."""
    try:
        found = read_members(cloud.objects.blocks(*parse_uri(uri)), _MEMBERS)
        return {name: json.loads(content) for name, content in found.items()}
    except (NotFoundError, ValueError):
        return {}  # deleted, or not the archive of a version


def _params(spec: Json, record: Json, episode: Episode | None) -> dict[str, str]:
    training = spec.get("training", {})
    found = {name: training[name] for name in _PARAMETERS if training.get(name) is not None}
    found |= {f"hyperparameters.{name}": value for name, value in training.get("hyperparameters", {}).items()}
    for name, window in record.get("windows", {}).items():
        found |= {f"{name}.start": window["start"], f"{name}.end": window["end"]}
    found |= record.get("versions", {})
    if episode and episode.revision:
        found["code"] = episode.revision
    return {name: str(value) for name, value in found.items()}


def _metrics(record: Json, evaluation: Json) -> Iterator[tuple[str, float]]:
    groups = {
        "": {**record.get("metrics", {}), "training_rows": record.get("rows"), "holdout_rows": evaluation.get("rows")},
        "challenger.": evaluation.get("challenger") or {},
        "champion.": evaluation.get("champion") or {},
        "gate.": evaluation.get("gate") or {},
    }
    for group, values in groups.items():
        for name, value in values.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                yield f"{group}{name}", float(value)


def _tags(
    model: Model,
    described: Json,
    episode: Episode | None,
    package: Package | None,
    evaluation: Json,
    uri: str,
    champion: str,
) -> dict[str, str]:
    gate = evaluation.get("gate", {})
    found = {
        "model": model.name,
        "execution_arn": described["PipelineExecutionArn"],
        "failure": described.get("FailureReason"),
        "model_archive": uri,
        "gate.decision": gate.get("decision"),
        "gate.reason": gate.get("reason"),
    }
    if episode:
        found |= {
            "episode": episode.id, "trigger": str(episode.trigger), "reason": episode.reason, "by": episode.by,
            "outcome": episode.outcome, "episode.status": str(episode.status),
        }  # fmt: skip
    if package:
        found |= {"model_package_arn": package.arn, "approval": package.approval}
        found["serves"] = "yes" if package.arn == champion else "no"
    return {f"driftloop.{name}": str(value) for name, value in found.items() if value}


def _datasets(model: Model, data: DataSet | None) -> list[Json]:
    if data is None:
        return []
    return [
        {
            "name": f"{model.name} {part}", "context": part, "digest": data.hash[:36], "source": data.uri,
            "rows": data.rows(part), "window": data.window(part),
        }
        for part in ("training", "holdout")
    ]  # fmt: skip
