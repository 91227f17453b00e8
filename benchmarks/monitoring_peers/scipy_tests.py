"""No tool at all: two-sample Kolmogorov-Smirnov per number and chi-square per category, p below 0.05."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc  # type: ignore[import-not-found]
from scipy import stats  # type: ignore[import-untyped]

from benchmarks.monitoring_peers.data import CATEGORIES, NUMBERS
from benchmarks.monitoring_peers.frames import read_capture
from benchmarks.monitoring_peers.worker import run_tool

_FILE = "reference.npz"
_P_VALUE = 0.05


def prepare(reference: Path, folder: Path) -> None:
    """Numbers without missing ones; categories as counts."""
    with np.load(reference) as file:
        kept: dict[str, Any] = {name: file[name][~np.isnan(file[name])] for name in NUMBERS}
        for name in CATEGORIES:
            kept[f"{name}_values"], kept[f"{name}_counts"] = np.unique(file[name], return_counts=True)
    np.savez(folder / _FILE, **kept)


def report(capture: Path, folder: Path, out: Path) -> list[str]:
    """The p-value of every column."""
    table = read_capture(capture)
    with np.load(folder / _FILE) as before:
        p_values = {name: _numbers(before[name], table[name].drop_null().to_numpy()) for name in NUMBERS}
        for name in CATEGORIES:
            usual = dict(zip(before[f"{name}_values"].tolist(), before[f"{name}_counts"].tolist(), strict=True))
            p_values[name] = _categories(Counter(usual), table[name])
    out.write_text(json.dumps(p_values), encoding="utf-8")
    return [name for name, p_value in p_values.items() if p_value < _P_VALUE]


def _numbers(before: Any, after: Any) -> float:
    return float(stats.ks_2samp(before, after, method="asymp").pvalue)


def _categories(before: Counter[str], column: Any) -> float:
    after = Counter({item["values"]: item["counts"] for item in pc.value_counts(column).to_pylist()})
    names = sorted(before | after)
    return float(stats.chi2_contingency([[counts[name] for name in names] for counts in (before, after)]).pvalue)


if __name__ == "__main__":
    run_tool(prepare, report)
