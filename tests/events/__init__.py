"""Events as AWS sends them, and how they arrive through a queue."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def event(name: str) -> dict[str, Any]:
    """One event of this folder."""
    value: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return value


def record(body: object, message_id: str = "m1", deliveries: int = 1) -> dict[str, Any]:
    """An SQS record; a body that is not text is sent as JSON."""
    made = event("sqs_record")
    made["messageId"] = message_id
    made["body"] = body if isinstance(body, str) else json.dumps(body)
    made["attributes"]["ApproximateReceiveCount"] = str(deliveries)
    return made


def batch(*bodies: object) -> dict[str, Any]:
    """What a function gets from its queue; messages are called m0, m1 and so on."""
    return {"Records": [record(body, f"m{number}") for number, body in enumerate(bodies)]}
