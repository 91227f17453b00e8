"""Evidently's default preset: the tests that it chooses, data set drift if half of the columns drift."""

from __future__ import annotations

from typing import Any

import pandas as pd
from evidently import DataDefinition, Dataset, Report  # type: ignore[import-not-found]
from evidently.presets import DataDriftPreset  # type: ignore[import-not-found]

from benchmarks.detection.workers.serve import serve


class DatasetDrift:
    """``DataDriftPreset()`` as it comes."""

    def fit(self, reference: pd.DataFrame, options: dict[str, Any]) -> None:
        self._names = [*options["numbers"], *options["categories"]]
        self._definition = DataDefinition(
            numerical_columns=options["numbers"], categorical_columns=options["categories"]
        )
        self._reference = self._dataset(reference)

    def judge(self, window: pd.DataFrame) -> tuple[bool, str]:
        snapshot = Report([DataDriftPreset()]).run(self._dataset(window), self._reference)
        drifted = next(m["value"] for m in snapshot.dict()["metrics"] if "DriftedColumnsCount" in m["metric_name"])
        # The preset's drift_share: a data set drifts if at least half of its columns do.
        return drifted["share"] >= 0.5, f"{drifted['count']:.0f} of {len(self._names)} columns drifted"

    def _dataset(self, frame: pd.DataFrame) -> Any:
        return Dataset.from_pandas(frame[self._names], data_definition=self._definition)


if __name__ == "__main__":
    serve(DatasetDrift())
