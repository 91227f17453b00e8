"""Shadow variants: copies of an endpoint's requests for a second model, whose answers no client sees.

Known to differ: copies are answered one by one, in their order; those that still wait when their fleet ends are dropped.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from driftloop.twin.activity import Activity
from driftloop.twin.capture import is_sampled
from driftloop.twin.errors import ApiError, invalid
from driftloop.twin.fleets import Fleet, Version
from driftloop.twin.model_process import ModelServer
from driftloop.twin.requests import only

LIMIT = 1000
"""How many copies may wait, so that a shadow variant that hangs does not use up the memory."""

_NEEDED = ("ModelName", "InstanceType", "InitialInstanceCount")
_POLL_SECONDS = 0.002


def check_config(request: Mapping[str, Any]) -> None:
    """Raise ApiError for ShadowProductionVariants that SageMaker refuses or the twin does not do."""
    shadows, productions = request.get("ShadowProductionVariants"), request["ProductionVariants"]
    if not shadows:
        return
    if len(shadows) != 1 or len(productions) != 1:
        raise invalid("With ShadowProductionVariants there is exactly one production variant and one shadow variant.")
    if request.get("AsyncInferenceConfig"):
        raise invalid("ShadowProductionVariants are not there for endpoints with an AsyncInferenceConfig.")
    production, shadow = productions[0], shadows[0]
    for place, variant in (("ProductionVariants", production), ("ShadowProductionVariants", shadow)):
        if "ServerlessConfig" in variant:
            raise invalid(f"{place}: with a shadow variant, variants are on instances; a serverless one is not.")
        if absent := [name for name in _NEEDED if name not in variant]:
            raise invalid(f"{place}: {', '.join(absent)} missing in variant {variant['VariantName']}.")
        only(place, variant, {"VariantName", *_NEEDED, "InitialVariantWeight"})
    if production["VariantName"] == shadow["VariantName"]:
        raise invalid(
            f"Variant names must be unique in an endpoint configuration: {shadow['VariantName']} is there twice."
        )
    if production.get("InitialVariantWeight") == 0:
        raise invalid(
            "InitialVariantWeight of the production variant must be more than 0, as the shadow's is a share of it."
        )


class ShadowedFleet(Fleet):
    """A production variant in service, and beside it the shadow variant of its configuration."""

    def __init__(
        self, version: Version, shadow: Version, launch: Callable[[Version], ModelServer], activity: Activity
    ) -> None:
        super().__init__(version, launch, activity)
        self.shadow = Fleet(shadow, launch, activity)
        # Of the decimal fractions that were meant, as 29 % of a hundred requests are 29.
        weights = Fraction(str(shadow.weight)) / Fraction(str(version.weight))
        self._percent = min(100 * weights, Fraction(100))
        self._requests = 0
        self._copies: deque[Callable[[], None]] = deque()
        self._sends = self._ended = False
        self._turn = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """As of any fleet: no process, and no copies, which are lost with the twin."""
        return super().__getstate__() | {"shadow": self.shadow}

    def revived(self, launch: Callable[[Version], ModelServer], activity: Activity) -> ShadowedFleet:
        """The same versions with processes that are just being started."""
        fleet = ShadowedFleet(self.version, self.shadow.version, launch, activity)
        fleet.revive()
        fleet.shadow.revive()
        return fleet

    def start(self) -> None:
        """Start both processes and wait until they answer; none is left if one fails. Raises ApiError."""
        super().start()
        try:
            self.shadow.start()
        except ApiError as error:
            self.stop()
            raise ApiError(
                error.code, f"shadow variant {self.shadow.version.variant}: {error}", error.status
            ) from error
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End both processes for good."""
        with self._turn:
            self._ended = True
            self._copies.clear()
        super().stop()
        self.shadow.stop()

    def sampled(self) -> int:
        """Count a request: the number of the copy that the shadow variant gets of it, or 0 for none."""
        with self._turn:
            self._requests += 1
            sampled = is_sampled(self._requests, self._percent)
            return int(self._requests * self._percent // 100) if sampled else 0

    def later(self, send: Callable[[], None]) -> bool:
        """Send a copy when those before it have been answered, or never if the fleet ends; False if too many wait."""
        with self._turn:
            if self._ended:
                return True
            if len(self._copies) >= LIMIT:
                return False
            self._copies.append(send)
            if not self._sends:
                self._sends = True
                self._activity.spawn(f"shadow-{self.version.config}", self._send)
        return True

    def wait(self) -> None:
        """Wait until the shadow variant has answered all copies."""
        while self._sends:
            time.sleep(_POLL_SECONDS)

    def _send(self) -> None:
        while send := self._next():
            try:
                send()
            except Exception:
                logging.getLogger(__name__).exception("a copy for a shadow variant could not be dealt with")

    def _next(self) -> Callable[[], None] | None:
        with self._turn:
            self._sends = bool(self._copies)
            return self._copies.popleft() if self._copies else None
