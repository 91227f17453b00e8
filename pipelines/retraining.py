"""The retraining pipeline, one shape for all models, built offline with the SageMaker SDK.

Only ``pipelines.compile`` runs this module: the SDK takes seconds to import and lives in an environment of its own.
What differs between models is written ``${Name}`` and filled in by CloudFormation (Fn::Sub).
"""

from __future__ import annotations

from typing import Any

import boto3
from sagemaker.core.model_metrics import MetricsSource, ModelMetrics
from sagemaker.core.network import NetworkConfig
from sagemaker.core.processing import Processor
from sagemaker.core.shapes import ProcessingInput, ProcessingOutput, ProcessingS3Input, ProcessingS3Output
from sagemaker.core.training.configs import Compute, InputData, Networking, OutputDataConfig
from sagemaker.core.workflow.conditions import ConditionIn
from sagemaker.core.workflow.execution_variables import ExecutionVariables
from sagemaker.core.workflow.functions import Join, JsonGet
from sagemaker.core.workflow.parameters import ParameterInteger, ParameterString
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.core.workflow.properties import PropertyFile
from sagemaker.mlops.workflow.condition_step import ConditionStep
from sagemaker.mlops.workflow.fail_step import FailStep
from sagemaker.mlops.workflow.model_step import ModelStep
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.steps import ProcessingStep, TrainingStep
from sagemaker.serve.model_builder import ModelBuilder
from sagemaker.train.model_trainer import ModelTrainer

# The SDK uploads an input that is not an S3 URI and looks a role up that is not an ARN, so these stand in meanwhile.
STAND_INS = {
    "s3://code-uri": "${CodeUri}",
    "s3://spec-uri": "${SpecUri}",
    "arn:aws:iam::000000000000:role/promotion": "${PromotionRoleArn}",
    "arn:aws:iam::000000000000:role/training": "${TrainingRoleArn}",
}
CODE, SPEC, PROMOTION_ROLE, TRAINING_ROLE = STAND_INS

KEY = "${KmsKeyArn}"
INPUT, OUTPUT = "/opt/ml/processing/input", "/opt/ml/processing/output"
CHANNEL = "/opt/ml/input/data"
MESSAGE = ["--message", "/opt/ml/output/message"]
VOLUME_GB = 30

WINDOW_START = ParameterString("WindowStart")
WINDOW_END = ParameterString("WindowEnd")
HOLDOUT_END = ParameterString("HoldoutEnd")
EPISODE_ID = ParameterString("EpisodeId", "manual")
TRIGGER = ParameterString("Trigger", "manual")
APPROVAL = ParameterString("ApprovalStatus", "PendingManualApproval", enum_values=["Approved", "PendingManualApproval"])
INSTANCE = ParameterString("InstanceType", "ml.m5.large")
MAX_RUNTIME = ParameterInteger("MaxRuntimeInSeconds", 3600)
PARAMETERS = [WINDOW_START, WINDOW_END, HOLDOUT_END, EPISODE_ID, TRIGGER, APPROVAL, INSTANCE, MAX_RUNTIME]

TRAINING_WINDOW = ["--window-start", WINDOW_START, "--window-end", WINDOW_END]
ALL_WINDOWS = [*TRAINING_WINDOW, "--holdout-end", HOLDOUT_END]


class OfflineSession(PipelineSession):
    """A session that never calls AWS: fixed region and bucket."""

    def __init__(self) -> None:
        super().__init__(
            boto_session=boto3.Session(),
            default_bucket="offline",
            sagemaker_config={
                "SchemaVersion": "1.0",
                "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}},
            },
        )

    def default_bucket(self) -> str:
        """The SDK would create one."""
        return "offline"


class ContainerTrainingStep(TrainingStep):
    """A training step that runs the kit's own command, for as long as the parameter says.

    The SDK sets a command only with code that it uploads, and takes a time limit only as a number.
    """

    command: list[Any]

    @property
    def arguments(self) -> dict[str, Any]:
        """Request of CreateTrainingJob."""
        request: dict[str, Any] = super().arguments
        request["AlgorithmSpecification"] |= {
            "ContainerEntrypoint": ["python3", f"{CHANNEL}/code/${{CodeFile}}", self.name.lower()],
            "ContainerArguments": self.command,
        }
        request["StoppingCondition"] = {"MaxRuntimeInSeconds": MAX_RUNTIME}
        return request


def build_pipeline() -> Pipeline:
    """The pipeline, its steps in the order in which they run."""
    session = OfflineSession()
    manifest = PropertyFile(name="Manifest", output_name="manifest", path="manifest.json")
    evaluation = PropertyFile(name="Evaluation", output_name="evaluation", path="evaluation.json")
    prepare = _prepare(session, manifest)
    validate = _validate(session, prepare)
    manifest_hash = JsonGet(step_name=prepare.name, property_file=manifest, json_path="manifest_sha256")
    train = _train(session, prepare, validate, manifest_hash)
    evaluate = _evaluate(session, prepare, train, evaluation)
    refit = _refit(session, prepare, train)
    approval = JsonGet(step_name=evaluate.name, property_file=evaluation, json_path="approval")
    register = _register(session, refit, evaluate, manifest_hash, approval)
    gate = _gate(evaluate, evaluation, [refit, register])
    steps = [prepare, validate, train, evaluate, gate]
    # Without a value the SDK would open an experiment for each execution.
    return Pipeline(
        name="retraining",
        parameters=PARAMETERS,
        steps=steps,
        pipeline_experiment_config=None,
        sagemaker_session=session,
    )


def _prepare(session: PipelineSession, manifest: PropertyFile) -> ProcessingStep:
    names = ("training", "holdout", "manifest")
    request = _processor(session, "prepare", PROMOTION_ROLE, isolated=False).run(
        inputs=code_and_spec(),
        outputs=[output_to(name, _run_uri("${CuratedBucket}", "datasets", name)) for name in names],
        arguments=[
            "--spec", f"{INPUT}/spec", "--live-bucket", "${LiveBucket}", "--curated-bucket", "${CuratedBucket}",
            *ALL_WINDOWS, *(part for name in names for part in (f"--{name}", f"{OUTPUT}/{name}")), *MESSAGE,
        ],
    )  # fmt: skip
    return ProcessingStep("Prepare", step_args=request, property_files=[manifest])


def _validate(session: PipelineSession, prepare: ProcessingStep) -> ProcessingStep:
    names = ("training", "holdout", "manifest")
    request = _processor(session, "validate", TRAINING_ROLE, isolated=True).run(
        inputs=[*code_and_spec(), *(input_from(name, _made_by(prepare, name)) for name in names)],
        arguments=[
            "--spec", f"{INPUT}/spec", *ALL_WINDOWS,
            *(part for name in names for part in (f"--{name}", f"{INPUT}/{name}")), *MESSAGE,
        ],
    )  # fmt: skip
    return ProcessingStep("Validate", step_args=request)


def _train(
    session: PipelineSession, prepare: ProcessingStep, validate: ProcessingStep, manifest_hash: JsonGet
) -> TrainingStep:
    command = [
        "--training", f"{CHANNEL}/training", *TRAINING_WINDOW, "--manifest-sha256", manifest_hash,
    ]  # fmt: skip
    return _fitting(session, "Train", {"training": _made_by(prepare, "training")}, command, depends_on=[validate])


def _refit(session: PipelineSession, prepare: ProcessingStep, train: TrainingStep) -> TrainingStep:
    channels = {name: _made_by(prepare, name) for name in ("training", "holdout")}
    channels["tested"] = train.properties.ModelArtifacts.S3ModelArtifacts
    paths = [part for name in channels for part in (f"--{name}", f"{CHANNEL}/{name}")]
    return _fitting(session, "Refit", channels, [*paths, "--holdout-end", HOLDOUT_END])


def _fitting(
    session: PipelineSession, name: str, channels: dict[str, Any], command: list[Any], **options: Any
) -> TrainingStep:
    """A job that fits a version and leaves its archive, without network."""
    trainer = ModelTrainer(
        training_image="${TrainingImage}",
        role=TRAINING_ROLE,
        sagemaker_session=session,
        base_job_name=name.lower(),
        compute=Compute(instance_type=INSTANCE, instance_count=1, volume_size_in_gb=VOLUME_GB, volume_kms_key_id=KEY),
        networking=Networking(enable_network_isolation=True, enable_inter_container_traffic_encryption=True),
        output_data_config=OutputDataConfig(s3_output_path=_run_uri("${ArtifactBucket}", "models"), kms_key_id=KEY),
    )
    inputs = {"code": CODE, "spec": SPEC, **channels}
    request = trainer.train(
        input_data_config=[InputData(channel_name=channel, data_source=uri) for channel, uri in inputs.items()]
    )
    step = ContainerTrainingStep(name, step_args=request, **options)
    step.command = [
        "--spec", f"{CHANNEL}/spec", *command, "--model", "/opt/ml/model", "--message", "/opt/ml/output/failure",
    ]  # fmt: skip
    return step


def _evaluate(
    session: PipelineSession, prepare: ProcessingStep, train: TrainingStep, evaluation: PropertyFile
) -> ProcessingStep:
    inputs = {"holdout": _made_by(prepare, "holdout"), "model": train.properties.ModelArtifacts.S3ModelArtifacts}
    request = _processor(session, "evaluate", TRAINING_ROLE, isolated=False).run(
        inputs=[*code_and_spec(), *(input_from(name, uri) for name, uri in inputs.items())],
        outputs=[output_to("evaluation", _run_uri("${ArtifactBucket}", "evaluations"))],
        arguments=[
            "--spec", f"{INPUT}/spec", "--holdout", f"{INPUT}/holdout", "--model", f"{INPUT}/model",
            "--endpoint", "${Base}", "--approval", APPROVAL, "--window-end", WINDOW_END, "--holdout-end", HOLDOUT_END,
            "--evaluation", f"{OUTPUT}/evaluation", *MESSAGE,
        ],
    )  # fmt: skip
    return ProcessingStep("Evaluate", step_args=request, property_files=[evaluation])


def _gate(evaluate: ProcessingStep, evaluation: PropertyFile, passed: list[Any]) -> ConditionStep:
    def result(field: str) -> JsonGet:
        return JsonGet(step_name=evaluate.name, property_file=evaluation, json_path=f"gate.{field}")

    return ConditionStep(
        "Gate",
        # Also what the gate asks a person about is registered; its approval waits for that person.
        conditions=[ConditionIn(value=result("decision"), in_values=["promote", "ask"])],
        if_steps=passed,
        else_steps=[FailStep("RejectChallenger", error_message=result("reason"))],
    )


def _register(
    session: PipelineSession, refit: TrainingStep, evaluate: ProcessingStep, manifest_hash: JsonGet, approval: JsonGet
) -> ModelStep:
    builder = ModelBuilder(
        image_uri="${TrainingImage}",
        s3_model_data_url=refit.properties.ModelArtifacts.S3ModelArtifacts,
        role_arn=TRAINING_ROLE,
        sagemaker_session=session,
        env_vars={
            "SAGEMAKER_PROGRAM": "inference.py",
            "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
            # The image installs that folder with pip, which would fetch its build tools from PyPI at each start. "0" is no.
            "PIP_NO_BUILD_ISOLATION": "0",
        },
    )
    evaluation_uri = Join(on="/", values=[_made_by(evaluate, "evaluation"), "evaluation.json"])
    request = builder.register(
        model_package_group_name="${Base}",
        content_types=["text/csv"],
        response_types=["text/csv"],
        approval_status=approval,
        model_metrics=ModelMetrics(
            model_statistics=MetricsSource(content_type="application/json", s3_uri=evaluation_uri)
        ),
        customer_metadata_properties={
            "episode_id": EPISODE_ID,
            "trigger": TRIGGER,
            "baseline_uri": Join(on="/", values=[_made_by(evaluate, "evaluation"), "baseline.json"]),
            "evaluation_uri": evaluation_uri,
            "manifest_sha256": manifest_hash,
            "window_start": WINDOW_START,
            "window_end": WINDOW_END,
            "holdout_end": HOLDOUT_END,
        },
    )
    return ModelStep("Register", step_args=request)


def _processor(session: PipelineSession, step: str, role: str, isolated: bool) -> Processor:
    return Processor(
        role=role,
        image_uri="${TrainingImage}",
        instance_count=1,
        instance_type=INSTANCE,
        entrypoint=["python3", f"{INPUT}/code/${{CodeFile}}", step],
        volume_size_in_gb=VOLUME_GB,
        volume_kms_key=KEY,
        output_kms_key=KEY,
        max_runtime_in_seconds=MAX_RUNTIME,
        sagemaker_session=session,
        network_config=NetworkConfig(enable_network_isolation=isolated, encrypt_inter_container_traffic=True),
    )


def code_and_spec() -> list[ProcessingInput]:
    """The steps and the compiled model file."""
    return [input_from("code", CODE), input_from("spec", SPEC)]


def input_from(name: str, uri: Any) -> ProcessingInput:
    """Objects that a job finds in a folder of their name."""
    source = ProcessingS3Input(
        s3_uri=uri, local_path=f"{INPUT}/{name}", s3_data_type="S3Prefix", s3_input_mode="File",
        s3_data_distribution_type="FullyReplicated",
    )  # fmt: skip
    return ProcessingInput(input_name=name, s3_input=source)


def output_to(name: str, uri: Any) -> ProcessingOutput:
    """A folder that is kept when the job ends."""
    target = ProcessingS3Output(s3_uri=uri, local_path=f"{OUTPUT}/{name}", s3_upload_mode="EndOfJob")
    return ProcessingOutput(output_name=name, s3_output=target)


def _run_uri(bucket: str, kind: str, *parts: str) -> Join:
    """Where one execution writes; no two executions share a place."""
    return Join(on="/", values=[f"s3://{bucket}", kind, "${Model}", ExecutionVariables.PIPELINE_EXECUTION_ID, *parts])


def _made_by(step: ProcessingStep, output: str) -> Any:
    return step.properties.ProcessingOutputConfig.Outputs[output].S3Output.S3Uri
