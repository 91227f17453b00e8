"""The pipeline that profiles with Spark, one shape for all models, built offline with the SageMaker SDK.

A single processing step. It is a pipeline and not a bare job because its definition is then deployed with the model,
who starts it needs no right to pass a role, and each run is kept with its parameters.
"""

from __future__ import annotations

from typing import Any

from sagemaker.core.network import NetworkConfig
from sagemaker.core.processing import Processor
from sagemaker.core.workflow.execution_variables import ExecutionVariables
from sagemaker.core.workflow.functions import Join
from sagemaker.core.workflow.parameters import ParameterInteger, ParameterString
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.steps import ProcessingStep

from pipelines.retraining import (
    INPUT,
    KEY,
    MESSAGE,
    OUTPUT,
    VOLUME_GB,
    OfflineSession,
    code_and_spec,
    input_from,
    output_to,
)

STAND_INS = {
    "s3://code-uri": "${CodeUri}",
    "s3://spec-uri": "${SpecUri}",
    "s3://main-uri": "${MainUri}",
    "arn:aws:iam::000000000000:role/profile": "${ProfileRoleArn}",
}
_MAIN, _ROLE = "s3://main-uri", "arn:aws:iam::000000000000:role/profile"

FROM = ParameterString("From", "none")
TO = ParameterString("To", "none")
SOURCE = ParameterString("Source", "captures")
BASELINE = ParameterString("BaselineUri")
INSTANCE = ParameterString("InstanceType", "ml.m5.xlarge")
COUNT = ParameterInteger("InstanceCount", 2)
MAX_RUNTIME = ParameterInteger("MaxRuntimeInSeconds", 6 * 3600)
PARAMETERS = [FROM, TO, SOURCE, BASELINE, INSTANCE, COUNT, MAX_RUNTIME]


def build_pipeline() -> Pipeline:
    """The pipeline."""
    session = OfflineSession()
    processor = Processor(
        role=_ROLE,
        image_uri="${SparkImage}",
        instance_count=COUNT,
        instance_type=INSTANCE,
        # The container's own command; it starts a cluster on all instances and runs spark-submit on the first.
        entrypoint=["smspark-submit", "--py-files", f"{INPUT}/code/${{CodeFile}}", f"{INPUT}/main/${{MainFile}}"],
        volume_size_in_gb=VOLUME_GB,
        volume_kms_key=KEY,
        output_kms_key=KEY,
        max_runtime_in_seconds=MAX_RUNTIME,
        sagemaker_session=session,
        # The instances talk to each other, and to S3.
        network_config=NetworkConfig(enable_network_isolation=False, encrypt_inter_container_traffic=True),
    )
    run = ["s3://${ArtifactBucket}", "profiles", "${Model}", ExecutionVariables.PIPELINE_EXECUTION_ID]
    request: Any = processor.run(
        inputs=[*code_and_spec(), input_from("main", _MAIN)],
        outputs=[output_to("profile", Join(on="/", values=run))],
        arguments=[
            "--spec", f"{INPUT}/spec", "--baseline", BASELINE, "--source", SOURCE, "--live-bucket", "${LiveBucket}",
            "--from", FROM, "--to", TO, "--profile", f"{OUTPUT}/profile", *MESSAGE,
        ],
    )  # fmt: skip
    return Pipeline(
        name="profiling",
        parameters=PARAMETERS,
        steps=[ProcessingStep("Profile", step_args=request)],
        pipeline_experiment_config=None,
        sagemaker_session=session,
    )
