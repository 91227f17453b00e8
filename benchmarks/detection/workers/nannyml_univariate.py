"""NannyML's univariate drift with its defaults (Jensen-Shannon, thresholds from the chunks of the reference). It has no
rule for a whole data set: an alarm if more than a share of the columns have an alert, which the policy gives."""

from __future__ import annotations

from typing import Any

import pandas as pd
from nannyml import UnivariateDriftCalculator  # type: ignore[import-not-found]

from benchmarks.detection.workers.serve import serve


class Univariate:
    """One calculator per reference."""

    def fit(self, reference: pd.DataFrame, options: dict[str, Any]) -> None:
        self._names = [*options["numbers"], *options["categories"]]
        self._columns = [options["time"], *self._names]
        self._share = options["share"]
        self._calculator = UnivariateDriftCalculator(
            self._names, timestamp_column_name=options["time"], chunk_period=options["period"]
        )
        self._calculator.fit(reference[self._columns])

    def judge(self, window: pd.DataFrame) -> tuple[bool, str]:
        result = self._calculator.calculate(window[self._columns]).filter(period="analysis").to_df(multilevel=False)
        alerts = [name for name in self._names if result[f"{name}_jensen_shannon_alert"].any()]
        return len(alerts) > self._share * len(self._names), f"alerts: {', '.join(alerts)}"


if __name__ == "__main__":
    serve(Univariate())
