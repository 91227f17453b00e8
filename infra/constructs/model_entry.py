"""How the shared functions come to know a model, and how what they deployed for it goes away again."""

from __future__ import annotations

import json
from collections.abc import Mapping

from aws_cdk import CustomResource, Fn
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from driftloop.names import ModelNames
from driftloop.spec import ModelSpec
from infra import references as ref
from infra.errors import LimitError
from infra.references import arn

_LARGEST = 8192
_ROOM_FOR_ARNS = 512


class ModelEntry(Construct):
    """The parameter that functions read, and the resource whose deletion removes endpoint, models and versions."""

    def __init__(self, scope: Construct, id: str, spec: ModelSpec, resources: Mapping[str, str]) -> None:  # noqa: A002
        super().__init__(scope, id)
        names = ModelNames(spec.name)
        value = _content(spec, resources)
        if len(value) > _LARGEST - _ROOM_FOR_ARNS:
            raise LimitError(
                f"model {spec.name}: {len(value)} bytes compiled, more than a parameter holds; cut features"
            )
        self.parameter = ssm.CfnParameter(
            self,
            "Parameter",
            name=names.parameter,
            description=f"The model {spec.name} of driftloop",
            type="String",
            # Standard as long as it fits into 4 KB, else advanced.
            tier="Intelligent-Tiering",
            value=Fn.sub(value, resources),
        )
        self.endpoint = CustomResource(
            self,
            "Endpoint",
            resource_type="Custom::DriftloopEndpoint",
            service_token=ref.sub(arn("lambda", f"function:{ref.function('remove_endpoint')}")),
            properties={"BaseName": names.base},
        )


def _content(spec: ModelSpec, resources: Mapping[str, str]) -> str:
    """JSON as ``Fn::Sub`` text. CDK's own JSON would leave out what is null, and functions read it."""
    # A model file may hold "${" where people write; doubled like this it stays as it is.
    compiled = json.dumps(spec.compiled(), separators=(",", ":")).replace("${", "${!")
    names = json.dumps({name: f"${{{name}}}" for name in resources}, separators=(",", ":"))
    return f'{{"spec":{compiled},"resources":{names}}}'
