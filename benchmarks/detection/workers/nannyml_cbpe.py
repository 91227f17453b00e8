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
        last = result.iloc[-1]
        band = f"{last['roc_auc_lower_threshold']:.3f} to {last['roc_auc_upper_threshold']:.3f}"
        return bool(result["roc_auc_alert"].any()), f"estimated ROC AUC {last['roc_auc_value']:.3f}, usual {band}"


if __name__ == "__main__":
    serve(EstimatedPerformance())
