"""Data capture in SageMaker's format. Pure but for the ids and the time of records."""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Mapping
from typing import Any

from driftloop.twin.model_process import Reply

Request = Mapping[str, Any]


def is_sampled(count: int, percent: int) -> bool:
    """True for ``percent`` of every hundred counts, evenly spread."""
    return count * percent // 100 > (count - 1) * percent // 100


def capture_record(capture: Request, content_type: str, body: bytes, reply: Reply, inference_id: str) -> bytes:
    """One line of a capture object, as SageMaker writes it."""
    modes = {option["CaptureMode"] for option in capture["CaptureOptions"]}
    types = capture.get("CaptureContentTypeHeader", {})
    sides = (("Input", content_type, body), ("Output", reply.content_type, reply.body))
    parts = {
        f"endpoint{side}": {"observedContentType": kind, "mode": side.upper(), **_encode(types, kind, data)}
        for side, kind, data in sides
        if modes & {side, "InputAndOutput"}
    }
    metadata = {"eventId": str(uuid.uuid4()), "inferenceTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    if inference_id:
        metadata["inferenceId"] = inference_id
    return json.dumps({"captureData": parts, "eventMetadata": metadata, "eventVersion": "0"}).encode() + b"\n"


def _encode(types: Request, content_type: str, body: bytes) -> dict[str, str]:
    kind = content_type.partition(";")[0].strip()
    for encoding, listed in (("CSV", "CsvContentTypes"), ("JSON", "JsonContentTypes")):
        if kind in types.get(listed, ()):
            return {"data": body.decode(errors="replace"), "encoding": encoding}
    return {"data": base64.b64encode(body).decode(), "encoding": "BASE64"}
