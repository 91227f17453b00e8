"""How far apart two versions may be expected to be live: as far as they were when the gate looked at them."""

from __future__ import annotations

import json
import math
from typing import Any

from driftloop.names import parse_uri
from driftloop.ports import Champion, Hosting, NotFoundError, Objects, Package


def expected_difference(
    hosting: Hosting, objects: Objects, champion: Champion | None, package: Package
) -> float | None:
    """Mean absolute difference of their probabilities on the gate's holdout; None if another version was the champion
    then, or what the gate wrote is gone or damaged."""
    uri = package.properties.get("evaluation_uri", "")
    if champion is None or not uri.startswith("s3://"):
        return None
    try:
        evaluation: Any = json.loads(objects.read(*parse_uri(uri)))
        judged, difference = evaluation["champion"]["model_data_url"], float(evaluation["difference"])
        served = hosting.package(champion.package_arn).model_data_url
    except (NotFoundError, ValueError, LookupError, TypeError):
        return None
    return difference if judged == served and math.isfinite(difference) else None
