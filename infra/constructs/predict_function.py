"""Predictions of one model over HTTP: a function and its URL."""

from __future__ import annotations

import hashlib
import json

from aws_cdk import CfnOutput
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from driftloop.names import ModelNames
from driftloop.spec import ModelSpec
from infra import references as ref
from infra.constructs.python_function import Program, PythonFunction
from infra.role_grants import RoleGrants


class PredictFunction(PythonFunction):
    """Whoever calls the URL signs with IAM and needs lambda:InvokeFunctionUrl and lambda:InvokeFunction on this function."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002
        spec: ModelSpec,
        *,
        code: assets.Asset,
        key_arn: str,
    ) -> None:
        names = ModelNames(spec.name)
        super().__init__(
            scope,
            id,
            # SageMaker gives a model a minute to answer.
            Program(names.predict_function, "predict", f"Predictions of {spec.name} over HTTP", 1769, 75),
            code=code,
            environment={
                "MODEL": spec.name,
                "LIVE_BUCKET": ref.sub(ref.bucket(ref.LIVE)),
                "REVISION": hashlib.sha256(json.dumps(spec.compiled()).encode()).hexdigest()[:16],
            },
            key_arn=key_arn,
            grants=RoleGrants(names).predict(captures=spec.serving.mode == "serverless"),
        )
        url = lambda_.CfnUrl(self, "Url", target_function_arn=self.resource.attr_arn, auth_type="AWS_IAM")
        CfnOutput(self, "PredictionsUrl", value=url.attr_function_url, description="POST /predictions, signed with IAM")
