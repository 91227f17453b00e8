"""One model: its pipeline, registry group, roles, alarms, rules, schedules and entry."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_s3_assets as assets
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from driftloop.names import ModelNames
from driftloop.spec import ModelSpec
from infra import references as ref
from infra.constructs.model_alarms import ModelAlarms
from infra.constructs.model_entry import ModelEntry
from infra.constructs.model_roles import ModelRoles
from infra.constructs.model_rules import ModelRules
from infra.constructs.model_schedules import ModelSchedules
from infra.constructs.predict_function import PredictFunction
from infra.constructs.profile_job import ProfileJob
from infra.constructs.retraining_pipeline import RetrainingPipeline
from infra.constructs.training_image import TrainingImage
from infra.packaging import UNPUBLISHED
from infra.revision import training_revision


class ModelStack(Stack):
    """Small, so that a hundred of them are no trouble; it refers to the platform by name only."""

    def __init__(
        self,
        scope: Construct,
        spec: ModelSpec,
        *,
        definition: Mapping[str, Any],
        steps: Path,
        functions: Path,
        compiled: Path,
    ) -> None:
        names = ModelNames(spec.name)
        super().__init__(scope, names.base, description=f"driftloop: the model {spec.name}")
        self._key_arn = ssm.StringParameter.value_for_string_parameter(self, ref.KEY_PARAMETER)
        self._image = TrainingImage(self, "Image", spec.training.image)
        self._code = assets.Asset(self, "Steps", path=str(steps), exclude=UNPUBLISHED)
        self._file = assets.Asset(self, "Spec", path=str(compiled))
        roles = ModelRoles(self, "Roles", spec, self._grant_values())
        pipeline = RetrainingPipeline(
            self,
            "Retraining",
            spec,
            definition=definition,
            role_arn=roles.pipeline.arn,
            values=self._definition_values(names, roles),
        )
        if spec.monitoring.spark_above is not None:
            ProfileJob(self, "Profiling", names, code=self._code, file=self._file, key_arn=self._key_arn)
        ModelAlarms(self, "Alarms", spec)
        ModelRules(self, "Rules", spec)
        ModelSchedules(self, "Schedules", spec)
        entry = ModelEntry(
            self,
            "Entry",
            spec,
            {
                "pipeline": names.base,
                "group": names.base,
                "endpoint": names.base,
                "serving_role_arn": roles.serving.arn,
                "serving_image": self._image.uri,
                "revision": training_revision(self._code.asset_hash, spec.for_steps()),
            },
        )
        # Deleted in the opposite order: first what the loop deployed, then the roles and the group that it needs.
        entry.endpoint.node.add_dependency(roles, pipeline)
        if spec.serving.has_url:
            functions_code = assets.Asset(self, "Functions", path=str(functions), exclude=UNPUBLISHED)
            predict = PredictFunction(self, "Predict", spec, code=functions_code, key_arn=self._key_arn)
            # Its processes read the model file once.
            predict.node.add_dependency(entry.parameter)

    def _grant_values(self) -> dict[str, str]:
        return {
            "KmsKeyArn": self._key_arn,
            "RegistryAccount": self._image.account,
            "Repository": self._image.repository,
            "CodeBucket": self._code.s3_bucket_name,
            "CodeKey": self._code.s3_object_key,
            "SpecKey": self._file.s3_object_key,
        }

    def _definition_values(self, names: ModelNames, roles: ModelRoles) -> dict[str, str]:
        return {
            "Model": names.model,
            "Base": names.base,
            "PromotionRoleArn": roles.promotion.arn,
            "TrainingRoleArn": roles.training.arn,
            "TrainingImage": self._image.uri,
            "CodeUri": self._code.s3_object_url,
            "CodeFile": self._code.s3_object_key,
            "SpecUri": self._file.s3_object_url,
            "LiveBucket": ref.sub(ref.bucket(ref.LIVE)),
            "CuratedBucket": ref.sub(ref.bucket(ref.CURATED)),
            "ArtifactBucket": ref.sub(ref.bucket(ref.ARTIFACTS)),
            "KmsKeyArn": self._key_arn,
        }
