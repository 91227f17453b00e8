"""NannyML's estimate of the performance without labels (CBPE) with its defaults: an alarm if the estimated ROC AUC
leaves the band of the reference's chunks. The reference is the version's out-of-time predictions."""

from __future__ import annotations

from typing import Any

import pandas as pd
from nannyml import CBPE  # type: ignore[import-not-found]

from benchmarks.detection.workers.serve import serve


class EstimatedPerformance:
    """One estimator per reference."""

    def fit(self, reference: pd.DataFrame, options: dict[str, Any]) -> None:
        self._score = options["score"]
        self._estimator = CBPE(
            metrics=["roc_auc"],
            y_pred=None,
            y_pred_proba=self._score,
            y_true=options["label"],
            timestamp_column_name=options["time"],
            chunk_period=options["period"],
            problem_type="classification_binary",
        )
        self._estimator.fit(reference)

    def judge(self, window: pd.DataFrame) -> tuple[bool, str]:
        result = self._estimator.estimate(window).filter(period="analysis").to_df(multilevel=False)
        value = float(result["estimated_roc_auc"].iloc[0]) if "estimated_roc_auc" in result else float("nan")
        alert = any(result[c].any() for c in result if c.endswith("_alert"))
        return alert, f"estimated ROC AUC {value:.3f}"


if __name__ == "__main__":
    serve(EstimatedPerformance())
