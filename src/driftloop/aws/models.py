"""Deployed models, from SSM Parameter Store."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from botocore.exceptions import ClientError

from driftloop.names import ModelNames, parameter_prefix
from driftloop.ports import Model, NotFoundError, Resources, TerminalError


class SsmModels:
    """The parameter that each model stack writes, read at most once a minute by a warm function."""

    def __init__(self, ssm: Any, seconds: float = 60, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._ssm = ssm
        self._seconds = seconds
        self._monotonic = monotonic
        self._known: dict[str, tuple[float, Model]] = {}

    def get(self, name: str) -> Model:
        """One model. Raises NotFoundError."""
        until, model = self._known.get(name, (0.0, None))
        now = self._monotonic()
        if model is None or now >= until:
            model = self._read(name)
            self._known[name] = now + self._seconds, model
        return model

    def all(self) -> tuple[list[Model], dict[str, str]]:
        """All deployed models, sorted by name; and of those that cannot be read, name -> why."""
        prefix = parameter_prefix()
        pages = self._ssm.get_paginator("get_parameters_by_path").paginate(Path=prefix.rstrip("/"))
        found = [(item["Name"].removeprefix(prefix), item["Value"]) for page in pages for item in page["Parameters"]]
        models: list[Model] = []
        unreadable: dict[str, str] = {}
        until = self._monotonic() + self._seconds
        for name, value in sorted(found):
            try:
                model = _model(name, value)
            except TerminalError as error:
                unreadable[name] = str(error)
                continue
            models.append(model)
            self._known[name] = until, model
        return models, unreadable

    def _read(self, name: str) -> Model:
        parameter = ModelNames(name).parameter
        try:
            value = self._ssm.get_parameter(Name=parameter)["Parameter"]["Value"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "ParameterNotFound":
                raise NotFoundError(f"model {name!r} is not deployed: no parameter {parameter}") from error
            raise
        return _model(name, value)


def _model(name: str, value: str) -> Model:
    """What a stack has written. Raises TerminalError."""
    known = {field.name for field in fields(Resources)}
    try:
        content = json.loads(value)
        # A newer stack may name more.
        resources = {key: value for key, value in content["resources"].items() if key in known}
        return Model(name, content["spec"], Resources(**resources))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise TerminalError(
            f"{ModelNames(name).parameter} cannot be read: {reason}; deploy the model's stack again"
        ) from error
