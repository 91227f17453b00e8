"""The version that serves, looked up at run time: what the endpoint does and not what somebody remembers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from pipelines.steps.step import StepError


@dataclass(frozen=True)
class ServingModel:
    """The model behind an endpoint."""

    config: str
    model_data_url: str


def find_champion(sagemaker: Any, endpoint: str) -> ServingModel | None:
    """The version that an endpoint serves; None if there is no endpoint yet. Raises StepError."""
    try:
        config = sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
    except ClientError as error:
        if _is_missing(error):
            return None
        raise
    variants = sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
    if len(variants) != 1:
        raise StepError(f"{config} has {len(variants)} variants; only an endpoint with one can be compared with")
    container = sagemaker.describe_model(ModelName=variants[0]["ModelName"]).get("PrimaryContainer", {})
    if "ModelDataUrl" not in container:
        raise StepError(f"model {variants[0]['ModelName']} of {config} has no ModelDataUrl")
    return ServingModel(config, container["ModelDataUrl"])


def download(s3: Any, uri: str) -> bytes:
    """One object. Raises StepError that names it."""
    place = urlsplit(uri)
    try:
        content: bytes = s3.get_object(Bucket=place.netloc, Key=place.path.lstrip("/"))["Body"].read()
    except ClientError as error:
        raise StepError(f"{uri} cannot be read: {error}") from error
    return content


def _is_missing(error: ClientError) -> bool:
    message = error.response["Error"]["Message"].lower()
    return "could not find" in message or "does not exist" in message
