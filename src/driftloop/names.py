"""The names of everything that is deployed: one place, pure, shared by infra, functions, steps and the twin."""

from __future__ import annotations

import re
from dataclasses import dataclass

PREFIX = "driftloop"
NAMESPACE = "driftloop"
"""CloudWatch namespace of every metric of the kit; the dimension is ``Model``."""

VARIANT = "AllTraffic"
SHADOW = "Shadow"
"""Variant of a version that is asked what the one that serves is asked, and whose answers nobody hears."""
CONFIG_ENDING = r"-v(\d+)(-shadow-of-v\d+)?$"
"""Of an endpoint configuration's name, as a regular expression: number of the version that is new in it, and whether as a shadow."""
PLATFORM_STACK = f"{PREFIX}-platform"
MLFLOW_PARAMETER = f"/{PREFIX}/platform/mlflow-app-arn"
"""SSM parameter with the ARN of the MLflow app, where one is deployed."""


class Metric:
    """CloudWatch metric names. The first five are score / limit: 1.0 is at the limit for every model."""

    INPUT_DRIFT = "InputDrift"
    PREDICTION_DRIFT = "PredictionDrift"
    ESTIMATED_LOSS = "EstimatedLoss"
    QUALITY_LOSS = "QualityLoss"
    # Emitted only while a version is rolled out.
    PREDICTION_SHIFT = "PredictionShift"
    ROWS_COUNTED = "RowsCounted"
    ROWS_QUARANTINED = "RowsQuarantined"
    LABELS_JOINED = "LabelsJoined"
    LABELS_QUARANTINED = "LabelsQuarantined"
    # Of the reconciler over all models; the dimension is ``Function``.
    MODELS_RECONCILED = "ModelsReconciled"
    MODELS_FAILED = "ModelsNotReconciled"
    # Of the functions that answer.
    CAPTURES_LOST = "CapturesLost"
    CARDS_NOT_WRITTEN = "CardsNotWritten"


@dataclass(frozen=True)
class ModelNames:
    """Names of one model's resources, derived from the model file's ``name`` and nothing else."""

    model: str

    @property
    def base(self) -> str:
        """Name of the stack, pipeline, model package group and endpoint, e.g. ``driftloop-flight-delay``."""
        return f"{PREFIX}-{self.model.replace('_', '-')}"

    @property
    def profile_pipeline(self) -> str:
        """Pipeline that profiles with Spark, where the model file asks for one."""
        return f"{self.base}-profile"

    def version(self, number: int) -> str:
        """Name of the SageMaker model and of the endpoint configuration of one version."""
        return f"{self.base}-v{number}"

    def alarm(self, signal: str) -> str:
        """Alarm on one signal: ``drift`` or ``quality``."""
        return f"{self.base}-{signal}"

    def role(self, purpose: str, region: str) -> str:
        """IAM role for one purpose: ``pipeline``, ``promotion``, ``training``, ``serving`` or ``profile``."""
        return f"{self.base}-{purpose}-{region}"

    @property
    def predict_function(self) -> str:
        """Function that answers over HTTP, where the model file asks for one."""
        return f"{self.base}-predict"

    @property
    def parameter(self) -> str:
        """SSM parameter through which the shared functions find the model."""
        return f"{parameter_prefix()}{self.model}"


def shadow_config(version: str, serving: str) -> str:
    """Name of the endpoint configuration in which a version is the shadow of the one that serves, both given by their names."""
    return f"{version}-shadow-of-{serving.rpartition('-')[2]}"


def is_shadow_config(config: str) -> bool:
    """True for a name that ``shadow_config`` has made."""
    return bool(_config(config)[2])


def version_of_config(config: str) -> int:
    """Number of the version that is new in an endpoint configuration of the kit."""
    return int(_config(config)[1])


def _config(name: str) -> re.Match[str]:
    found = re.search(CONFIG_ENDING, name)
    if found is None:
        raise ValueError(f"{name!r} is no endpoint configuration of {PREFIX}")
    return found


def shadow_report(model: str, number: int) -> str:
    """Where the comparison of a version with the one that served is kept in the live bucket."""
    return f"shadows/{model}/{number}.json"


def rollout_signals(latency: bool) -> tuple[str, ...]:
    """The signals whose alarms tell that a new version misbehaves; ``latency`` if the model file limits it."""
    return ("errors", "shift", "latency") if latency else ("errors", "shift")


def report_prefix(model: str) -> str:
    """Where a model's drift reports are kept in the live bucket, each as ``<window start>.json``."""
    return f"reports/{model}/"


def parameter_prefix() -> str:
    """Common prefix of all model parameters."""
    return f"/{PREFIX}/models/"


def model_of_endpoint(endpoint: str) -> str:
    """The model a resource name of the form ``driftloop-<slug>`` belongs to.

    Model names use underscores and never hyphens, so the way back is exact.
    Raises ValueError for a name that is not of the kit.
    """
    slug = endpoint.removeprefix(f"{PREFIX}-")
    if slug == endpoint or not slug:
        raise ValueError(f"{endpoint!r} is not a resource of {PREFIX}")
    return slug.replace("-", "_")


def model_of_execution(arn: str) -> str:
    """The model whose pipeline an execution is one of. Raises ValueError for a pipeline that is not of the kit."""
    return model_of_endpoint(arn.rsplit(":pipeline/", maxsplit=1)[-1].split("/", maxsplit=1)[0])


def is_own_function(arn: str) -> bool:
    """True for the identity of one of the shared functions, whose roles CloudFormation names after the stack."""
    return f":assumed-role/{PLATFORM_STACK}-" in arn


LEDGER_TABLE = f"{PREFIX}-ledger"


def bucket(kind: str, account: str, region: str) -> str:
    """Name of the ``live``, ``curated`` or ``artifacts`` bucket: global, so account and region are part of it."""
    return f"{PREFIX}-{kind}-{account}-{region}"


def parse_uri(uri: str) -> tuple[str, str]:
    """``s3://bucket/key`` as bucket and key. Raises ValueError for anything else."""
    bucket, slash, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not slash or not key:
        raise ValueError(f"{uri!r} is not an S3 object")
    return bucket, key
