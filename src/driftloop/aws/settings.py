"""The environment of a function as one checked value; CDK writes the environment from the same field names."""

from __future__ import annotations

import os
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """Environment variables of every function."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    live_bucket: str = Field(min_length=3)
    curated_bucket: str = Field(min_length=3)
    artifact_bucket: str = Field(min_length=3)
    ledger_table: str = Field(min_length=3)
    topic_arn: str = Field(min_length=20)
    kms_key_arn: str = Field(min_length=20)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read the environment. Raises pydantic.ValidationError that names what is missing."""
        return cls.model_validate({name: environment.get(name.upper()) for name in cls.model_fields})
