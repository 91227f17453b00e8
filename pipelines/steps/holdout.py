"""The part of a holdout on which two versions can be compared."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from driftloop.data.schema import Columns, Schema
from driftloop.data.windows import DAY, Window, iso
from driftloop.promotion.clustered import MIN_CLUSTERS
from pipelines.steps.step import StepError


def unseen_part(schema: Schema, holdout: Window, rows: Columns, fitted_until: datetime) -> tuple[Window, Columns]:
    """The rows that the champion has not learned from: it was fitted on its own holdout, too.

    Args:
        fitted_until: end of the rows that the champion was fitted on.

    Raises StepError if the rows that are left are of too few days to judge by.
    """
    if fitted_until <= holdout.start:
        return holdout, rows
    part = Window(min(fitted_until, holdout.end), holdout.end)
    kept = part.rows(rows, schema.time)
    days = len(np.unique(kept[schema.time].astype("datetime64[D]")))
    if days < MIN_CLUSTERS:
        needed = fitted_until + MIN_CLUSTERS * DAY
        raise StepError(
            f"the champion was fitted on rows up to {iso(fitted_until)}, which leaves {len(kept[schema.time])} rows of "
            f"{days} days of the holdout {iso(holdout.start)} to {iso(holdout.end)}, and at least {MIN_CLUSTERS} days "
            f"are needed to compare: retrain when labels up to {iso(needed)} are known, from "
            f"{iso(needed + schema.label_delay)} on"
        )
    return part, kept
