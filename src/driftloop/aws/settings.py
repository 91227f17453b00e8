"""The environment of a function as one checked value; CDK writes the environment from the same field names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict, Field


class _Environment(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read the environment. Raises pydantic.ValidationError that names what is missing."""
        return cls.model_validate({name: environment.get(name.upper()) for name in cls.model_fields})


class Settings(_Environment):
    """Environment variables of every shared function."""

    live_bucket: str = Field(min_length=3)
    curated_bucket: str = Field(min_length=3)
    artifact_bucket: str = Field(min_length=3)
    ledger_table: str = Field(min_length=3)
    topic_arn: str = Field(min_length=20)
    answers_topic_arn: str = Field(min_length=20)
    kms_key_arn: str = Field(min_length=20)


class PredictSettings(_Environment):
    """Environment variables of the function that answers for one model."""

    model: str = Field(min_length=2)
    live_bucket: str = Field(min_length=3)
    revision: str = Field(min_length=1)
    """Hash of the model file: a change of it is a change of the function, whose processes then start anew."""
