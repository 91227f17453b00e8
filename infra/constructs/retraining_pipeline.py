"""The retraining pipeline of one model and the group that its versions are registered in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_cdk import Fn
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from driftloop.names import ModelNames
from driftloop.spec import ModelSpec
from infra.definition import check_variables, for_model


class RetrainingPipeline(Construct):
    """One compiled definition serves all models; what differs between them is filled in here."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002
        spec: ModelSpec,
        *,
        definition: Mapping[str, Any],
        role_arn: str,
        values: Mapping[str, str],
    ) -> None:
        super().__init__(scope, id)
        base = ModelNames(spec.name).base
        body = for_model(definition, spec)
        check_variables(body, values)
        self.group = sagemaker.CfnModelPackageGroup(
            self,
            "Group",
            model_package_group_name=base,
            model_package_group_description=f"Versions of {spec.name}",
        )
        self.pipeline = sagemaker.CfnPipeline(
            self,
            "Pipeline",
            pipeline_name=base,
            pipeline_description=f"Retrains {spec.name}",
            role_arn=role_arn,
            pipeline_definition={"PipelineDefinitionBody": Fn.sub(body, values)},
        )
        self.pipeline.add_resource_dependency(self.group)
