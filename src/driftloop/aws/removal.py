"""What a model's stack does not know of because the loop made it: endpoint, configurations, models, packages."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from driftloop.aws.hosting import is_missing
from driftloop.names import CONFIG_ENDING


class EndpointRemoval:
    """Deletes everything that was deployed under one base name. Can be repeated."""

    def __init__(self, sagemaker: Any, wait_seconds: int = 240) -> None:
        self._sagemaker = sagemaker
        self._wait_seconds = wait_seconds

    def remove(self, base: str) -> list[str]:
        """Names of what was deleted. Raises TimeoutError if the endpoint does not go."""
        removed = [f"endpoint {base}"] if self._delete("endpoint", EndpointName=base) else []
        self._wait(base)
        for kind, operation, name in (
            ("endpoint_config", "list_endpoint_configs", "EndpointConfigName"),
            ("model", "list_models", "ModelName"),
        ):
            # SageMaker can only search by "contains", and other models of the kit may contain this one's name: those
            # of models `a` and `a_v2` begin with `driftloop-a-v`, and only a number may follow for `a`.
            for found in self._names(operation, name, NameContains=f"{base}-v"):
                if re.fullmatch(rf"{re.escape(base)}{CONFIG_ENDING}", found) and self._delete(kind, **{name: found}):
                    removed.append(f"{kind} {found}")
        removed.extend(self._remove_packages(base))
        return removed

    def _remove_packages(self, group: str) -> Iterator[str]:
        try:
            arns = list(self._names("list_model_packages", "ModelPackageArn", ModelPackageGroupName=group))
        except ClientError as error:
            if not is_missing(error):
                raise
            return
        for arn in arns:
            if self._delete("model_package", ModelPackageName=arn):
                yield f"model package {arn}"

    def _names(self, operation: str, key: str, **arguments: str) -> Iterator[str]:
        for page in self._sagemaker.get_paginator(operation).paginate(**arguments):
            for item in next(value for value in page.values() if isinstance(value, list)):
                yield item[key]

    def _delete(self, kind: str, **arguments: str) -> bool:
        try:
            getattr(self._sagemaker, f"delete_{kind}")(**arguments)
        except ClientError as error:
            if not is_missing(error):
                raise
            return False
        return True

    def _wait(self, endpoint: str) -> None:
        deadline = time.monotonic() + self._wait_seconds
        while time.monotonic() < deadline:
            try:
                self._sagemaker.describe_endpoint(EndpointName=endpoint)
            except ClientError as error:
                if is_missing(error):
                    return
                raise
            time.sleep(2)
        raise TimeoutError(f"endpoint {endpoint} is still there after {self._wait_seconds} s")
