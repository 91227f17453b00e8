"""Data capture in SageMaker's format. Pure but for the ids and the time of records."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from driftloop.data.records import Body, Encodings
from driftloop.data.records import capture_record as record
from driftloop.twin.model_process import Reply

Request = Mapping[str, Any]


def is_sampled(count: int, percent: int | Fraction) -> bool:
    """True for ``percent`` of every hundred counts, evenly spread."""
    return count * percent // 100 > (count - 1) * percent // 100


def capture_record(capture: Request, content_type: str, body: bytes, reply: Reply, inference_id: str) -> bytes:
    """One line of a capture object, for what a DataCaptureConfig asks."""
    modes = {option["CaptureMode"] for option in capture["CaptureOptions"]}
    types = capture.get("CaptureContentTypeHeader", {})
    return record(
        Body(content_type, body) if modes & {"Input", "InputAndOutput"} else None,
        Body(reply.content_type, reply.body) if modes & {"Output", "InputAndOutput"} else None,
        Encodings(types.get("CsvContentTypes", ()), types.get("JsonContentTypes", ())),
        str(uuid.uuid4()),
        datetime.now(UTC),
        inference_id,
    )
