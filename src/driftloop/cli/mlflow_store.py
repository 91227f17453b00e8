"""Write runs into an MLflow tracking server. A program of its own: it runs in MLflow's environment, without driftloop.

Standard input has one experiment a line, as JSON: its name and its runs, as ``training_runs`` makes them. A run that is there
already, known by its pipeline execution, is brought up to date; nothing is written twice.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections import Counter
from typing import Any

from mlflow import MlflowClient, set_tracking_uri
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema

EXECUTION, CONTENT = "driftloop.execution", "driftloop.content"
_TYPES = {"category": "string", "integer": "double", "number": "double"}
"""Of features -> of MLflow; integers may be missing, which only a floating point number can be."""
_LONGEST = 5000
"""Characters of a tag or a parameter."""


def main() -> None:
    """Read, write, and say what was done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracking-uri", required=True)
    parser.add_argument("--artifacts", help="where files of new experiments are kept; the server decides without it")
    options = parser.parse_args()
    # SageMaker's plugin signs for the place that is set for the process, whatever the client was made with.
    set_tracking_uri(options.tracking_uri)
    client = MlflowClient(tracking_uri=options.tracking_uri, registry_uri=options.tracking_uri)
    done: Counter[str] = Counter(created=0, updated=0, unchanged=0)
    for line in sys.stdin:
        given = json.loads(line)
        experiment = _experiment(client, given["name"], options.artifacts)
        for run in given["runs"]:
            try:
                run_id, what = _write(client, experiment, run)
                if run["version"]:
                    _register(client, given["name"], run_id, run["version"])
            except MlflowException as error:  # one run that is refused must not keep the others from it
                what = "refused"
                print(f"{run['execution']}: {error}", file=sys.stderr)
            done[what] += 1
        _crown(client, given["name"], given["runs"])
    print(json.dumps(done))


def _experiment(client: MlflowClient, name: str, artifacts: str | None) -> str:
    known = client.get_experiment_by_name(name)
    if known is not None:
        if known.lifecycle_stage == "deleted":
            client.restore_experiment(known.experiment_id)
        return str(known.experiment_id)
    return str(client.create_experiment(name, artifact_location=artifacts and f"{artifacts}/{name}"))


def _write(client: MlflowClient, experiment: str, run: dict[str, Any]) -> tuple[str, str]:
    """(id, what was done)."""
    content = hashlib.sha256(json.dumps(run, sort_keys=True).encode()).hexdigest()
    known = client.search_runs([experiment], f"tags.`{EXECUTION}` = '{run['execution']}'", max_results=1)
    if known and known[0].data.tags.get(CONTENT) == content:
        return known[0].info.run_id, "unchanged"
    tags = {EXECUTION: run["execution"], **run["tags"]}
    run_id = known[0].info.run_id if known else _create(client, experiment, run)
    before = known[0].data if known else None
    for name in before.tags if before else ():
        if name.startswith("driftloop.") and name not in tags:
            client.delete_tag(run_id, name)
    metrics = [Metric(_key(name), value, run["end"] or run["start"], 0) for name, value in run["metrics"].items()]
    params = [Param(_key(name), value[:_LONGEST]) for name, value in run["params"].items()]
    # MLflow lets nobody change a parameter.
    fresh = [param for param in params if not before or param.key not in before.params]
    client.log_batch(run_id, metrics, fresh, [RunTag(name, value[:_LONGEST]) for name, value in tags.items()])
    client.update_run(run_id, name=run["name"])
    if run["datasets"]:
        client.log_inputs(run_id, [_dataset(one) for one in run["datasets"]])
    for name, artifact in run["artifacts"].items():
        client.log_dict(run_id, artifact, name)
    if run["inputs"]:
        client.log_dict(run_id, _signature(run["inputs"]), "signature.json")
    if run["end"] is not None:
        client.set_terminated(run_id, run["status"], run["end"])
    # Last of all: a run that was only half written is written again.
    client.set_tag(run_id, CONTENT, content)
    return run_id, "updated" if known else "created"


def _key(name: str) -> str:
    """A name as MLflow takes it; hyperparameters may have any."""
    return re.sub(r"[^\w./: -]", "_", name)


def _create(client: MlflowClient, experiment: str, run: dict[str, Any]) -> str:
    tags = {EXECUTION: run["execution"]}
    created = client.create_run(experiment, start_time=run["start"], tags=tags, run_name=run["name"])
    return str(created.info.run_id)


def _dataset(one: dict[str, Any]) -> DatasetInput:
    profile = json.dumps({"rows": one["rows"], "window": one["window"]})
    dataset = Dataset(one["name"], one["digest"], "s3", json.dumps({"uri": one["source"]}), profile=profile)
    return DatasetInput(dataset, [InputTag("mlflow.data.context", one["context"])])


def _signature(inputs: list[list[str]]) -> dict[str, Any]:
    columns = Schema([ColSpec(_TYPES[kind], name, required=False) for name, kind in inputs])
    signature: dict[str, Any] = ModelSignature(columns, Schema([ColSpec("double", "score")])).to_dict()
    return signature


def _register(client: MlflowClient, name: str, run_id: str, version: dict[str, Any]) -> None:
    """The version in MLflow's registry."""
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    known = [one for one in client.search_model_versions(f"name = '{name}'") if one.run_id == run_id]
    number = (
        known[0].version
        if known
        else client.create_model_version(
            name, version["source"], run_id, tags={"driftloop.arn": version["arn"], "driftloop.version": str(version["number"])}
        ).version
    )  # fmt: skip
    client.set_model_version_tag(name, number, "driftloop.approval", version["approval"])


def _crown(client: MlflowClient, name: str, runs: list[dict[str, Any]]) -> None:
    """``champion`` is the version that serves, and no other."""
    serving = {run["version"]["arn"] for run in runs if run["version"] and run["version"]["serves"]}
    versions = client.search_model_versions(f"name = '{name}'")
    chosen = [one.version for one in versions if one.tags.get("driftloop.arn") in serving]
    if chosen:
        client.set_registered_model_alias(name, "champion", chosen[0])
    elif versions:
        client.delete_registered_model_alias(name, "champion")


if __name__ == "__main__":
    main()
