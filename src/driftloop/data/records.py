"""Writing capture records in SageMaker's format, for whatever serves without SageMaker's own data capture."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

CSV = "text/csv"


@dataclass(frozen=True)
class Body:
    """A request or an answer."""

    content_type: str
    data: bytes


@dataclass(frozen=True)
class Encodings:
    """Content types whose bodies are kept as text; those of others as base64, as SageMaker does."""

    csv: Collection[str] = (CSV,)
    json: Collection[str] = ()


def capture_record(
    request: Body | None, answer: Body | None, encodings: Encodings, event_id: str, at: datetime, inference_id: str = ""
) -> bytes:
    """One line of a capture object, as SageMaker writes it. A side that is None is not kept."""
    sides = {"Input": request, "Output": answer}
    data = {
        f"endpoint{side}": {
            "observedContentType": body.content_type,
            "mode": side.upper(),
            **_encoded(body, encodings),
        }
        for side, body in sides.items()
        if body is not None
    }
    metadata = {"eventId": event_id, "inferenceTime": f"{at:%Y-%m-%dT%H:%M:%SZ}"}
    if inference_id:
        metadata["inferenceId"] = inference_id
    record = {"captureData": data, "eventMetadata": metadata, "eventVersion": "0"}
    # Escaped, other scripts than the Latin one would take up to three times as much, and a line has a limit.
    return json.dumps(record, ensure_ascii=False).encode() + b"\n"


def capture_key(prefix: str, endpoint: str, variant: str, at: datetime, event_id: str) -> str:
    """Where a capture object is kept: ``<prefix>/<endpoint>/<variant>/yyyy/mm/dd/hh/mm-ss-mmm-<event>.jsonl``."""
    return f"{captured_at(prefix, endpoint, variant, at)}-{at.microsecond // 1000:03d}-{event_id}.jsonl"


def captured_at(prefix: str, endpoint: str, variant: str, at: datetime) -> str:
    """What the keys of a second's captures begin with; those of earlier captures come before it, in order."""
    return f"{prefix}/{endpoint}/{variant}/{at:%Y/%m/%d/%H/%M-%S}"


def is_sampled(event_id: str, share: float) -> bool:
    """Whether a record belongs to the share that is kept: decided by its id and not by counting, as those who decide are
    many and may decide again."""
    return zlib.crc32(event_id.encode()) < share * 2**32


def _encoded(body: Body, encodings: Encodings) -> dict[str, str]:
    kind = body.content_type.partition(";")[0].strip()
    for encoding, listed in (("CSV", encodings.csv), ("JSON", encodings.json)):
        if kind in listed:
            return {"data": body.data.decode(errors="replace"), "encoding": encoding}
    return {"data": base64.b64encode(body.data).decode(), "encoding": "BASE64"}
