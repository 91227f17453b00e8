"""Predictions over HTTP: POST /predictions with JSON or CSV, signed with IAM."""

from __future__ import annotations

import base64
import json
import os
from functools import cache
from typing import Any

from aws_lambda_powertools.event_handler import LambdaFunctionUrlResolver, Response
from aws_lambda_powertools.utilities.typing import LambdaContext

from driftloop.aws.afterwards import Afterwards
from driftloop.aws.predictions import wired
from driftloop.loop.predict import JSON, Predictions

app = LambdaFunctionUrlResolver()
afterwards = Afterwards(os.environ.get("AWS_LAMBDA_RUNTIME_API"), "capture")
ID = "X-Amzn-SageMaker-Inference-Id"


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request. Its content is not logged: it is the customers'."""
    with afterwards.answering():
        return app.resolve(event, context)


@app.post("/predictions")
def predict() -> Response[str]:
    """One probability for each row."""
    asked = app.current_event
    body = base64.b64decode(asked.body or "") if asked.is_base64_encoded else (asked.body or "").encode()
    answer = _predictions().answer(asked.headers.get("content-type", ""), body, asked.headers.get(ID, ""))
    told = {ID: answer.inference_id} if answer.inference_id else {}
    return Response(answer.status, answer.content_type, answer.text, headers=told)


@app.not_found
def elsewhere(_: Exception) -> Response[str]:
    """Any other path or method."""
    return Response(404, JSON, json.dumps({"errors": [{"reason": "there is POST /predictions only"}]}))


@cache
def _predictions() -> Predictions:
    return wired(afterwards)
