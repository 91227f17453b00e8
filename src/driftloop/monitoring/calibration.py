"""Limits from the baseline's own time blocks, because real days differ from their month more than random halves do."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import TypeVar

import numpy as np

from driftloop.monitoring.outcomes import NO_OUTCOMES, Outcomes
from driftloop.monitoring.statistics import Floats

_RESAMPLES = 1000
MIN_BLOCKS = 5


T = TypeVar("T")


def blocks_needed(length: int) -> int:
    """Blocks of which there are enough runs of a length, if these overlap."""
    return length + MIN_BLOCKS - 1


def runs_of(blocks: Sequence[T], length: int) -> list[Sequence[T]]:
    """Runs of ``length`` consecutive blocks, side by side where there are enough blocks and overlapping where not.

    Raises ValueError if even overlapping there are fewer than five.
    """
    room = len(blocks) - length
    if room < MIN_BLOCKS - 1:
        needed = blocks_needed(length)
        raise ValueError(f"{len(blocks)} time blocks are too few to set a limit; at least {needed} are needed")
    stride = min(length, room // (MIN_BLOCKS - 1))
    return [blocks[start : start + length] for start in range(0, room + 1, stride)]


def block_limit(statistics: Sequence[float], sensitivity: float) -> float:
    """The value that a further block exceeds with probability ``sensitivity`` if nothing changed.

    Block divergences are positive and skewed, so their logarithms are taken as normal; the quantile is that of one
    more observation (prediction interval, Student's t with Cornish-Fisher expansion of its quantile, Abramowitz and
    Stegun 26.7.5). Raises ValueError for fewer than five blocks.
    """
    if len(statistics) < MIN_BLOCKS:
        raise ValueError(f"{len(statistics)} time blocks are too few to set a limit; at least {MIN_BLOCKS} are needed")
    logs = np.log(np.maximum(np.asarray(statistics, dtype=float), 1e-9))
    n = len(logs)
    quantile = _student_quantile(1 - sensitivity, n - 1)
    return float(np.exp(logs.mean() + quantile * logs.std(ddof=1) * np.sqrt(1 + 1 / n)))


def rise_limit(statistics: Sequence[float], sensitivity: float) -> float:
    """How far above zero a further block lies with probability ``sensitivity`` if nothing changed.

    For differences, which may be negative: the prediction interval of one more normal observation around zero. Raises
    ValueError for fewer than five blocks.
    """
    if len(statistics) < MIN_BLOCKS:
        raise ValueError(f"{len(statistics)} time blocks are too few to set a limit; at least {MIN_BLOCKS} are needed")
    n = len(statistics)
    spread = float(np.sqrt(np.mean(np.square(statistics)) * n / (n - 1)))
    return max(1e-9, _student_quantile(1 - sensitivity, n - 1) * spread * float(np.sqrt(1 + 1 / n)))


def _student_quantile(p: float, df: int) -> float:
    z = NormalDist().inv_cdf(p)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return float(sum(term / df**power for power, term in enumerate(terms)))


def outcome_limit(blocks: Sequence[Outcomes], smoothing: int, sensitivity: float, seed: int) -> float:
    """Limit of the calibration loss of ``smoothing`` blocks together, by moving-block bootstrap over time blocks.

    Runs of consecutive blocks keep what days have in common with their neighbours (Kuensch 1989). Raises ValueError
    for fewer than five blocks.
    """
    if len(blocks) < MIN_BLOCKS:
        raise ValueError(f"{len(blocks)} labelled time blocks are too few to set a limit; at least {MIN_BLOCKS} needed")
    run = min(max(2, smoothing // 2), len(blocks), smoothing)
    rng = np.random.default_rng(seed)
    losses: Floats = np.empty(_RESAMPLES)
    for sample in range(_RESAMPLES):
        chosen: list[Outcomes] = []
        while len(chosen) < smoothing:
            start = int(rng.integers(0, len(blocks) - run + 1))
            chosen.extend(blocks[start : start + run])
        losses[sample] = sum(chosen[:smoothing], start=NO_OUTCOMES).loss()
    return max(1e-9, float(np.quantile(losses, 1 - sensitivity)))
