"""Requests from stdin through sagemaker-inference's Transformer, as the model server of the image drives it."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

from sagemaker_inference.transformer import Transformer


class Context:
    """What the model server passes along."""

    def __init__(self, model_dir: str, content_type: str) -> None:
        self.system_properties = {"model_dir": model_dir}
        properties = {"Content-Type": content_type, "Accept": "text/csv"}
        self.request_processor = [SimpleNamespace(get_request_properties=lambda: properties)]
        self.status, self.answered = 200, ""

    def set_response_content_type(self, _: int, value: str) -> None:
        self.answered = value

    def set_response_status(self, code: int, phrase: str) -> None:
        self.status = code


transformer = Transformer()
answers = []
for content_type, body in json.load(sys.stdin):
    context = Context(sys.argv[1], content_type)
    (text,) = transformer.transform([{"body": body.encode()}], context)
    answers.append([context.status, context.answered, text])
json.dump(answers, sys.stdout)
