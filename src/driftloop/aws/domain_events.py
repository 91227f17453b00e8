"""Events of the kit on the account's default bus."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from driftloop.names import PREFIX
from driftloop.ports import RetryableError


class EventBridgeEvents:
    """EventBridge as the Events port."""

    def __init__(self, events: Any) -> None:
        self._events = events

    def put(self, kind: str, detail: Mapping[str, Any]) -> None:
        """Put one event. Raises RetryableError if the bus does not take it."""
        entry = {"Source": PREFIX, "DetailType": kind, "Detail": json.dumps(detail, sort_keys=True)}
        answer = self._events.put_events(Entries=[entry])
        if answer["FailedEntryCount"]:
            raise RetryableError(f"the event bus refused {kind}: {answer['Entries'][0].get('ErrorMessage')}")
