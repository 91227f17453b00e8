"""The four roles of one model."""

from __future__ import annotations

from collections.abc import Mapping

from constructs import Construct

from driftloop.names import ModelNames
from driftloop.spec import ModelSpec
from infra.constructs.service_role import ServiceRole
from infra.references import REGION, sub
from infra.role_grants import RoleGrants


class ModelRoles(Construct):
    """Pipeline, promotion, training and serving. Their names tell the bucket policy who they are."""

    def __init__(self, scope: Construct, id: str, spec: ModelSpec, values: Mapping[str, str]) -> None:  # noqa: A002
        super().__init__(scope, id)
        names = ModelNames(spec.name)
        grants = RoleGrants(
            names,
            batch=spec.serving.batch.every is not None,
            asynchronous=spec.serving.mode == "asynchronous",
        )

        def role(purpose: str, description: str) -> ServiceRole:
            return ServiceRole(
                self,
                purpose.title(),
                service="sagemaker",
                name=sub(names.role(purpose, REGION)),
                grants=getattr(grants, purpose)(),
                values=values,
                description=f"{names.model}: {description}",
            )

        self.pipeline = role("pipeline", "runs the steps of a retraining")
        self.promotion = role("promotion", "copies chosen live data into the curated bucket")
        self.training = role("training", "trains and evaluates on curated data")
        self.serving = role("serving", "serves predictions and captures them")
