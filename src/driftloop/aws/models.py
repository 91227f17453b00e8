"""Deployed models, from SSM Parameter Store."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError

from driftloop.names import ModelNames
from driftloop.ports import Model, NotFoundError, Resources


class SsmModels:
    """The parameter that each model stack writes."""

    def __init__(self, ssm: Any) -> None:
        self._ssm = ssm

    def get(self, name: str) -> Model:
        """One model. Raises NotFoundError."""
        parameter = ModelNames(name).parameter
        try:
            value = self._ssm.get_parameter(Name=parameter)["Parameter"]["Value"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "ParameterNotFound":
                raise NotFoundError(f"model {name!r} is not deployed: no parameter {parameter}") from error
            raise
        content = json.loads(value)
        return Model(name, content["spec"], Resources(**content["resources"]))
