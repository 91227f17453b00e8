"""Executions of SageMaker pipelines: the deployed definition, step by step, with the pipeline role's credentials."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from driftloop.twin.activity import WHOLE, Activity
from driftloop.twin.errors import LOST, ApiError, invalid, missing, unsupported
from driftloop.twin.expressions import DefinitionError, Scope, bind_parameters
from driftloop.twin.jobs import Platform
from driftloop.twin.requests import only

Step = Mapping[str, Any]
Announce = Callable[[str, str, Mapping[str, Any], Sequence[str]], None]

_STEP_KEYS = {"Name", "Type", "Arguments", "DependsOn", "PropertyFiles", "DisplayName", "Description"}
_POLL_SECONDS = 0.2
_JOB_STEPS = {"Processing": "processing_job", "Training": "training_job"}
_SERVICE = "SageMaker Model Building Pipeline Execution"


class StepFailedError(Exception):
    """A step has failed; the message is the reason."""


@dataclass
class Execution:
    """One run of a pipeline."""

    arn: str
    pipeline: str
    pipeline_arn: str
    role_arn: str
    definition: Mapping[str, Any]
    parameters: dict[str, Any]
    given: dict[str, str]
    token: str
    started: float
    status: str = "Executing"
    failure: str = ""
    modified: float = 0.0
    steps: list[dict[str, Any]] = field(default_factory=list)
    properties: dict[str, Any] = field(default_factory=dict)
    stopping: bool = False

    @property
    def id(self) -> str:
        """Last part of the ARN."""
        return self.arn.rpartition("/")[2]


def parse_definition(text: str) -> dict[str, Any]:
    """A definition that the twin can run. Raises ApiError for what is broken or what it cannot do."""
    try:
        definition = dict(json.loads(text))
        _check(definition)
    except KeyError as error:
        raise invalid(f"Unable to parse pipeline definition: it has no {error}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise invalid(f"Unable to parse pipeline definition: {error}") from error
    return definition


def _check(definition: dict[str, Any]) -> None:
    only("the pipeline definition", definition, {"Version", "Metadata", "Parameters", "Steps"})
    names = set()
    for step in flatten(definition["Steps"]):
        only(f"step {step['Name']}", step, _STEP_KEYS)
        if step["Type"] not in (*_JOB_STEPS, "Condition", "Fail", "RegisterModel"):
            raise unsupported(f"the step type {step['Type']} of step {step['Name']}")
        if step["Name"] in names:
            raise invalid(f"the step name {step['Name']} is not unique")
        names.add(step["Name"])


def flatten(steps: Sequence[Step]) -> Iterator[Step]:
    """All steps, those in branches too."""
    for step in steps:
        yield step
        if step["Type"] == "Condition":
            for branch in ("IfSteps", "ElseSteps"):
                yield from flatten(step["Arguments"].get(branch, ()))


class Pipelines:
    """Starts executions and remembers them."""

    def __init__(self, platform: Platform, activity: Activity, announce: Announce) -> None:
        self._platform = platform
        self._activity = activity
        self._announce = announce
        self._executions: dict[str, Execution] = {}

    def start(self, pipeline: str, role_arn: str, text: str, request: Mapping[str, Any]) -> Execution:
        """Start an execution; the same ClientRequestToken gives the execution that it started before."""
        definition = parse_definition(text)
        given = {p["Name"]: p["Value"] for p in request.get("PipelineParameters", ())}
        token = request.get("ClientRequestToken") or uuid.uuid4().hex
        try:
            bound = bind_parameters(definition.get("Parameters", []), given)
        except DefinitionError as error:
            raise invalid(str(error)) from error
        with WHOLE:
            for known in self.of(pipeline):
                if known.token == token:
                    if known.given != given:
                        raise ApiError("ConflictException", "the client request token was used with other parameters")
                    return known
            arn = self._platform.arn("pipeline", pipeline)
            execution = Execution(
                f"{arn}/execution/{uuid.uuid4().hex[:12]}", pipeline, arn, role_arn, definition, bound, given, token,
                time.time(), modified=time.time(),
            )  # fmt: skip
            self._executions[execution.arn] = execution
            self._tell(execution, None)
        self._activity.spawn(f"execution-{execution.id}", lambda: self._run(execution))
        return execution

    def get(self, arn: str) -> Execution:
        """One execution. Raises ApiError."""
        if arn not in self._executions:
            raise missing("pipeline execution", arn)
        return self._executions[arn]

    def of(self, pipeline: str) -> list[Execution]:
        """Executions of one pipeline, newest first."""
        return [e for e in reversed(list(self._executions.values())) if e.pipeline == pipeline]

    def stop(self, execution: Execution) -> None:
        """Ask an execution to end after the step that it is in."""
        if execution.status == "Executing":
            execution.stopping = True

    def save(self) -> dict[str, Execution]:
        """All executions."""
        return self._executions

    def resume(self, executions: Mapping[str, Execution]) -> None:
        """Remember these; what was under way has failed, as its processes are gone."""
        self._executions.update(executions)
        for execution in executions.values():
            if execution.status != "Executing":
                continue
            status = "Stopped" if execution.stopping else "Failed"
            open_steps = [step for step in execution.steps if step["StepStatus"] == "Executing"]
            for step in open_steps:
                step |= {"StepStatus": status, "FailureReason": LOST, "EndTime": time.time()}
            execution.failure = ": ".join(["Step failure", *(step["StepName"] for step in open_steps), LOST])
            self._end(execution, status)

    def _run(self, execution: Execution) -> None:
        try:
            self._steps(execution, execution.definition["Steps"])
            status = "Stopped" if execution.stopping else "Succeeded"
        except Exception as error:
            status = "Stopped" if execution.stopping else "Failed"
            execution.failure = f"Step failure: {error}"
        self._end(execution, status)

    def _end(self, execution: Execution, status: str) -> None:
        with WHOLE:
            execution.status, execution.modified = status, time.time()
            self._tell(execution, "Executing")

    def _steps(self, execution: Execution, steps: Sequence[Step]) -> None:
        waiting = list(steps)
        while waiting and not execution.stopping:
            ready = next((step for step in waiting if self._is_ready(execution, step)), None)
            if ready is None:
                raise StepFailedError(f"steps {', '.join(s['Name'] for s in waiting)} wait for each other")
            waiting.remove(ready)
            self._step(execution, ready)

    def _is_ready(self, execution: Execution, step: Step) -> bool:
        return all(name in execution.properties for name in {*step.get("DependsOn", ()), *_references(step)})

    def _step(self, execution: Execution, step: Step) -> None:
        record: dict[str, Any] = {"StepName": step["Name"], "StepStatus": "Executing", "StartTime": time.time()}
        execution.steps.append(record)
        try:
            properties, metadata, then = self._perform(execution, step)
            record |= {"StepStatus": "Succeeded", "Metadata": metadata}
        except Exception as error:
            reason = f"it has no {error}" if isinstance(error, KeyError) else str(error)
            record |= {"StepStatus": "Stopped" if execution.stopping else "Failed", "FailureReason": reason}
            raise StepFailedError(f"{step['Name']}: {reason}") from error
        finally:
            record["EndTime"] = time.time()
        execution.properties[step["Name"]] = properties
        self._steps(execution, then)

    def _perform(self, execution: Execution, step: Step) -> tuple[Any, dict[str, Any], Sequence[Step]]:
        """Run one step: its properties, what ListPipelineExecutionSteps shows of it, and the steps that follow."""
        scope = self._scope(execution)
        if step["Type"] == "Condition":
            outcome = all(scope.holds(condition) for condition in step["Arguments"]["Conditions"])
            branch = step["Arguments"].get("IfSteps" if outcome else "ElseSteps", ())
            return {"Outcome": str(outcome)}, {"Condition": {"Outcome": str(outcome)}}, branch
        if step["Type"] == "Fail":
            raise StepFailedError(str(scope.value(step["Arguments"]["ErrorMessage"])))
        arguments = scope.value(step["Arguments"])
        if step["Type"] == "RegisterModel":
            arguments.pop("SkipModelValidation", None)
            arn = self._client(execution).create_model_package(**arguments)["ModelPackageArn"]
            return {**arguments, "ModelPackageArn": arn}, {"RegisterModel": {"Arn": arn}}, ()
        properties, arn = self._job(execution, step, arguments)
        return properties, {f"{step['Type']}Job": {"Arn": arn}}, ()

    def _job(self, execution: Execution, step: Step, arguments: dict[str, Any]) -> tuple[dict[str, Any], str]:
        kind, client = step["Type"], self._client(execution)
        operation = _JOB_STEPS[kind]
        name = {f"{kind}JobName": f"pipelines-{execution.id}-{step['Name']}-{uuid.uuid4().hex[:8]}"}
        arn: str = getattr(client, f"create_{operation}")(**name, **arguments)[f"{kind}JobArn"]
        while True:
            described = getattr(client, f"describe_{operation}")(**name)
            status = described[f"{kind}JobStatus"]
            if status == "Completed":
                return _with_names(described), arn
            if status in ("Failed", "Stopped"):
                raise StepFailedError(described.get("FailureReason") or f"the job was {status.lower()}")
            if execution.stopping:
                getattr(client, f"stop_{operation}")(**name)
            time.sleep(_POLL_SECONDS)

    def _scope(self, execution: Execution) -> Scope:
        started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(execution.started))
        facts = {
            "PipelineName": execution.pipeline, "PipelineArn": execution.pipeline_arn,
            "PipelineExecutionId": execution.id, "PipelineExecutionArn": execution.arn, "StartDateTime": started,
        }  # fmt: skip
        store = self._platform.store(execution.role_arn, "SageMaker")
        files = dict(_property_files(execution))
        return Scope(execution.parameters, facts, execution.properties, files, store.read)

    def _client(self, execution: Execution) -> Any:
        return self._platform.client("sagemaker", execution.role_arn, "SageMaker")

    def _tell(self, execution: Execution, previous: str | None) -> None:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        detail = {
            "pipelineExecutionDisplayName": execution.id,
            "currentPipelineExecutionStatus": execution.status,
            "previousPipelineExecutionStatus": previous,
            "executionStartTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(execution.started)),
            "executionEndTime": None if execution.status == "Executing" else stamp,
            "pipelineArn": execution.pipeline_arn,
            "pipelineExecutionArn": execution.arn,
        }
        resources = [execution.pipeline_arn, execution.arn]
        self._announce("aws.sagemaker", f"{_SERVICE} Status Change", detail, resources)


def _property_files(execution: Execution) -> Iterator[tuple[tuple[str, str], str]]:
    for step in flatten(execution.definition["Steps"]):
        done = execution.properties.get(step["Name"]) or {}
        for item in step.get("PropertyFiles", ()) if done else ():
            output = done["ProcessingOutputConfig"]["Outputs"][item["OutputName"]]["S3Output"]["S3Uri"]
            yield (step["Name"], item["PropertyFileName"]), f"{output.rstrip('/')}/{item['FilePath']}"


def _with_names(described: Mapping[str, Any]) -> dict[str, Any]:
    """Properties of a job step: as described, but outputs and inputs are found by name."""
    properties = {key: value for key, value in described.items() if key != "ResponseMetadata"}
    if "ProcessingOutputConfig" in properties:
        config = properties["ProcessingOutputConfig"]
        properties["ProcessingOutputConfig"] = {**config, "Outputs": {o["OutputName"]: o for o in config["Outputs"]}}
    if "ProcessingInputs" in properties:
        properties["ProcessingInputs"] = {item["InputName"]: item for item in properties["ProcessingInputs"]}
    return properties


def _references(value: Any) -> Iterator[str]:
    """Names of the steps that an expression reads from, those inside its own branches left out."""
    if isinstance(value, list):
        for item in value:
            yield from _references(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "Get" and str(item).startswith("Steps."):
                yield str(item).split(".")[1]
            elif key not in ("IfSteps", "ElseSteps"):
                yield from _references(item)
