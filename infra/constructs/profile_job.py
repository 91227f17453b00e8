"""What profiles one model's traffic with Spark: a pipeline of one step, its two roles and its image."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from aws_cdk import Fn
from aws_cdk import aws_s3_assets as assets
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from driftloop.names import ModelNames
from infra import references as ref
from infra.constructs.service_role import ServiceRole
from infra.constructs.spark_image import SparkImage
from infra.definition import check_variables, read_definition
from infra.packaging import ROOT
from infra.references import REGION, sub
from infra.role_grants import RoleGrants

COMPILED = ROOT / "pipelines" / "profiling.json"
MAIN = ROOT / "pipelines" / "steps" / "spark_main.py"


class ProfileJob(Construct):
    """Deployed for models whose file says from which size on backfills run on Spark."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002
        names: ModelNames,
        *,
        code: assets.Asset,
        file: assets.Asset,
        key_arn: str,
        compiled: Path = COMPILED,
    ) -> None:
        """``code`` are the steps, ``file`` is the compiled model file."""
        super().__init__(scope, id)
        self._names, self._code, self._file, self._key_arn = names, code, file, key_arn
        self._main = assets.Asset(self, "Main", path=str(MAIN))
        self._image = SparkImage(self, "Image")
        grants = RoleGrants(names)
        job = ServiceRole(
            self,
            "JobRole",
            service="sagemaker",
            name=sub(names.role("profile", REGION)),
            grants=grants.profile(),
            values=self._grant_values(),
            description=f"{names.model}: profiles captured traffic with Spark",
        )
        runner = ServiceRole(
            self,
            "PipelineRole",
            service="sagemaker",
            grants=grants.profile_pipeline(),
            values={"KmsKeyArn": key_arn},
            description=f"{names.model}: runs the job that profiles with Spark",
        )
        body = json.dumps(read_definition(compiled), separators=(",", ":"))
        values = self._definition_values(job.arn)
        check_variables(body, values)
        self.pipeline = sagemaker.CfnPipeline(
            self,
            "Pipeline",
            pipeline_name=names.profile_pipeline,
            pipeline_description=f"Profiles the traffic of {names.model} with Spark",
            role_arn=runner.arn,
            pipeline_definition={"PipelineDefinitionBody": Fn.sub(body, values)},
        )

    def _grant_values(self) -> Mapping[str, str]:
        return {
            "KmsKeyArn": self._key_arn,
            "RegistryAccount": self._image.account,
            "Repository": self._image.repository,
            "CodeBucket": self._code.s3_bucket_name,
            "CodeKey": self._code.s3_object_key,
            "SpecKey": self._file.s3_object_key,
            "MainKey": self._main.s3_object_key,
        }

    def _definition_values(self, role_arn: str) -> dict[str, str]:
        return {
            "Model": self._names.model,
            "ProfileRoleArn": role_arn,
            "SparkImage": self._image.uri,
            "CodeUri": self._code.s3_object_url,
            "CodeFile": self._code.s3_object_key,
            "SpecUri": self._file.s3_object_url,
            "MainUri": self._main.s3_object_url,
            "MainFile": self._main.s3_object_key,
            "LiveBucket": sub(ref.bucket(ref.LIVE)),
            "ArtifactBucket": sub(ref.bucket(ref.ARTIFACTS)),
            "KmsKeyArn": self._key_arn,
        }
