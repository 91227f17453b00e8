"""SageMaker's runtime as the Endpoints port."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from driftloop.aws.hosting import is_missing
from driftloop.data.records import CSV
from driftloop.ports import NotFoundError, RetryableError, TerminalError


class SageMakerEndpoints:
    """Whoever waits for an answer knows best how often to ask."""

    def __init__(self, runtime: Any) -> None:
        self._runtime = runtime

    def ask(self, endpoint: str, rows: bytes, inference_id: str) -> bytes:
        """The answer to rows of CSV. Raises RetryableError, NotFoundError, TerminalError."""
        try:
            answer = self._runtime.invoke_endpoint(
                EndpointName=endpoint, ContentType=CSV, Accept=CSV, Body=rows, InferenceId=inference_id
            )
            told: bytes = answer["Body"].read()
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if is_missing(error):
                raise NotFoundError(f"{endpoint} does not exist") from error
            if code == "ModelError" or code.startswith(("Validation", "AccessDenied")):
                raise TerminalError(f"the version could not answer: {code}") from error
            raise RetryableError(f"the endpoint is not ready: {code}") from error
        except BotoCoreError as error:
            raise RetryableError(f"the endpoint does not answer: {type(error).__name__}") from error
        return told
