"""MLflow on AWS, for those who ask for it: SageMaker's serverless app, and the role with which it reaches its files."""

from __future__ import annotations

from aws_cdk import CfnOutput, RemovalPolicy
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from driftloop.names import MLFLOW_PARAMETER, PREFIX
from infra.constructs.service_role import ServiceRole
from infra.grants import Grant
from infra.references import ARTIFACTS, KEY, TRACKING, bucket_arn


class ExperimentTracking(Construct):
    """Nothing in the loop writes into it or waits for it: ``driftloop mlflow --aws`` does, when somebody calls it."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002
        artifacts: s3.IBucket,
        key_arn: str,
        removal_policy: RemovalPolicy,
    ) -> None:
        super().__init__(scope, id)
        role = ServiceRole(
            self,
            "Role",
            service="sagemaker",
            grants=_grants(),
            values={"KmsKeyArn": key_arn},
            description="The MLflow app keeps and shows the files of training runs",
        )
        app = sagemaker.CfnMlflowApp(
            self,
            "App",
            name=PREFIX,
            artifact_store_uri=artifacts.s3_url_for_object(TRACKING),
            role_arn=role.arn,
            # SageMaker's registry belongs to the loop: a version that MLflow put there would have passed no gate.
            model_registration_mode="AutoModelRegistrationDisabled",
        )
        # An app that stays is of no use without its role.
        for resource in (app, role.resource):
            resource.apply_removal_policy(removal_policy)
        ssm.StringParameter(
            self,
            "Parameter",
            parameter_name=MLFLOW_PARAMETER,
            string_value=app.attr_arn,
            description="ARN of the MLflow app of driftloop",
        )
        CfnOutput(self, "Arn", value=app.attr_arn, description="For --tracking-uri").override_logical_id("MlflowAppArn")


def _grants() -> list[Grant]:
    files = f"{TRACKING}/*"
    return [
        Grant(["s3:GetObject", "s3:PutObject"], [bucket_arn(ARTIFACTS, files)], "the files of the runs of all models"),
        Grant(["s3:ListBucket"], [bucket_arn(ARTIFACTS)], condition={"StringLike": {"s3:prefix": [files]}}),
        Grant(["kms:Decrypt", "kms:GenerateDataKey"], [KEY]),
    ]
