"""CloudFormation types that ministack lacks: SageMaker's, through the same control plane that the API uses."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from ministack.services.cloudformation import provisioners

from driftloop.twin.requests import coerce, input_shape

Call = Callable[[str, Mapping[str, Any]], dict[str, Any]]
Properties = dict[str, Any]


def install(call: Call) -> None:
    """Register the types; ``call`` performs a SageMaker operation."""
    provisioners._RESOURCE_HANDLERS.update(
        {
            "AWS::SageMaker::Pipeline": _resource(call, "Pipeline", "PipelineName", prepare=_pipeline, update=True),
            "AWS::SageMaker::ModelPackageGroup": _resource(
                call, "ModelPackageGroup", "ModelPackageGroupName", arn="ModelPackageGroupArn"
            ),
        }
    )


def _resource(
    call: Call,
    kind: str,
    name: str,
    *,
    arn: str = "",
    prepare: Callable[[Properties], Properties] = dict,
    update: bool = False,
) -> dict[str, Any]:
    """Handlers of one type. ``arn`` is the attribute for which Ref stands too; else Ref gives the name."""

    def perform(operation: str, properties: Properties) -> dict[str, Any]:
        shape = input_shape("sagemaker", operation)
        values = {key: value for key, value in prepare(properties).items() if key in shape.members or key in properties}
        return call(operation, coerce(shape, values, f"AWS::SageMaker::{kind}"))

    def create(_logical: str, properties: Properties, _stack: str) -> tuple[str, dict[str, str]]:
        answer = perform(f"Create{kind}", properties)
        return (answer[arn], {arn: answer[arn]}) if arn else (properties[name], {})

    def change(physical: str, old: Properties, new: Properties, _stack: str) -> tuple[str, dict[str, str]]:
        if old[name] != new[name]:
            raise ValueError(f"AWS::SageMaker::{kind}: a new {name} needs a new resource")
        shape = input_shape("sagemaker", f"Update{kind}")
        perform(f"Update{kind}", {key: value for key, value in new.items() if key in shape.members})
        return physical, {}

    def delete(_physical: str, properties: Properties) -> None:
        token = {"ClientRequestToken": uuid.uuid4().hex} if kind == "Pipeline" else {}
        call(f"Delete{kind}", {name: properties[name], **token})

    return {"create": create, "delete": delete, **({"update": change} if update else {})}


def _pipeline(properties: Properties) -> Properties:
    definition = properties["PipelineDefinition"]
    body = definition.get("PipelineDefinitionBody")
    text = body if isinstance(body, str) else json.dumps(body or definition)
    return {**properties, "PipelineDefinition": text, "ClientRequestToken": uuid.uuid4().hex}
