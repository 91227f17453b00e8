"""Rules about SageMaker's storage. A pipeline hides its jobs in a JSON text, so that is looked into."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from infra.rules.breach import Breach, Template, resources

_NEEDS_KEY = {
    "VolumeSizeInGB": "VolumeKmsKeyId",
    "S3OutputPath": "KmsKeyId",
    "Outputs": "KmsKeyId",
}
"""A part of a job that has the first key stores something and needs the second."""


def encrypted_jobs(template: Template) -> Iterator[Breach]:
    """Volumes and outputs of every job of a pipeline are encrypted with a key of the account."""
    for name, properties in resources(template, "AWS::SageMaker::Pipeline"):
        for part in _parts(_definition(properties)):
            for key, needed in _NEEDS_KEY.items():
                if key in part and not part.get(needed):
                    yield Breach("encrypted-jobs", name, f"a part of the definition has {key} without {needed}")


def isolated_training(template: Template) -> Iterator[Breach]:
    """Training containers have no network, and their traffic among each other is encrypted."""
    for name, properties in resources(template, "AWS::SageMaker::Pipeline"):
        for part in _parts(_definition(properties)):
            if part.get("Type") != "Training":
                continue
            for setting in ("EnableNetworkIsolation", "EnableInterContainerTrafficEncryption"):
                if part["Arguments"].get(setting) is not True:
                    yield Breach("isolated-training", name, f"step {part['Name']} does not set {setting}")


def encrypted_endpoints(template: Template) -> Iterator[Breach]:
    """Storage of endpoints and notebooks that a template creates itself."""
    for name, properties in resources(template, "AWS::SageMaker::EndpointConfig", "AWS::SageMaker::NotebookInstance"):
        if not properties.get("KmsKeyId"):
            yield Breach("encrypted-endpoints", name, "has no KmsKeyId")


def _definition(properties: Mapping[str, Any]) -> Any:
    body = properties["PipelineDefinition"]["PipelineDefinitionBody"]
    return json.loads(body["Fn::Sub"][0] if isinstance(body, Mapping) else body)


def _parts(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        yield value
        for item in value.values():
            yield from _parts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _parts(item)
