"""How often the gate is wrong: simulated pairs of models on a week of rows, judged by the gate that is deployed.

Each trial draws a holdout whose days have something in common, and two models that know its log-odds up to noise of
their own: by row, and by day, as one model may suit one day's weather better. A pair is equal, or the challenger's
expected log-loss is worse by the margin's size, or better or worse by so much more than it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.results import publish
from driftloop.monitoring.statistics import Floats
from driftloop.promotion.gate import Decision, GatePolicy, Traits, compare
from driftloop.spec.model import Gate

_CONSOLE = Console(stderr=True)
RATE, SPREAD = -1.2, 1.0
"""Mean and standard deviation of the true log-odds: about a quarter of the rows has label 1."""
COMMON = 0.3
"""Standard deviation of what the rows of a day have in common and no model knows."""
KNOWN, BY_DAY = 0.3, 0.2
"""Standard deviation of a model's own noise in the log-odds, and the share of its variance that is common to a day. With
these the differences of two models have the standard error that champion and challenger of the flights have on their
weeks: 0.004 nats on 6,300 rows of 7 days."""


@dataclass(frozen=True)
class World:
    """What is drawn in each trial."""

    days: int
    rows: int
    """A day."""
    policy: GatePolicy

    def trial(self, gain: float, rng: np.random.Generator) -> tuple[Decision, float]:
        """The gate's answer about a challenger that is better by ``gain`` nats per row, and what was measured."""
        count = self.days * self.rows
        day = np.repeat(np.arange(self.days), self.rows)
        seen = rng.normal(RATE, SPREAD, count)
        truth = _sigmoid(seen + rng.normal(0, COMMON, self.days)[day])
        labels = (rng.random(count) < truth).astype(np.int8)
        challenger, champion = (_sigmoid(seen + self._noise(more, day, rng)) for more in (max(-gain, 0), max(gain, 0)))
        result = compare(labels, challenger, champion, day, {}, self.policy, Traits(float(labels.mean())))
        return result.decision, result.advantage or 0.0

    def _noise(self, nats: float, day: np.ndarray[Any, Any], rng: np.random.Generator) -> Floats:
        """Noise that costs so many nats per row more than that of KNOWN: half of its variance times p (1 - p) each."""
        variance = KNOWN**2 + 2 * nats / _mean_variance()
        by_row, by_day = np.sqrt(variance * (1 - BY_DAY)), np.sqrt(variance * BY_DAY)
        return np.asarray(rng.normal(0, by_row, len(day)) + rng.normal(0, by_day, self.days)[day])


def rates(world: World, gains: dict[str, float], trials: int, seed: int) -> Iterator[dict[str, Any]]:
    """Share of challengers promoted, for each kind of pair."""
    for number, (name, gain) in enumerate(gains.items()):
        found = [
            world.trial(gain, np.random.default_rng([seed, number, trial]))
            for trial in track(range(trials), name, console=_CONSOLE, transient=True)
        ]
        gains_seen = [measured for _, measured in found]
        promoted = sum(decision is Decision.PROMOTE for decision, _ in found)
        yield {
            "name": name, "gain": gain, "measured_gain": round(float(np.mean(gains_seen)), 5),
            "standard_error": round(float(np.std(gains_seen)), 5), "promoted": promoted / trials,
        }  # fmt: skip


def _sigmoid(logits: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-logits)))


def _mean_variance() -> float:
    """E[p (1 - p)] under the true log-odds, by Gauss-Hermite quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    p = _sigmoid(RATE + np.hypot(SPREAD, COMMON) * nodes)
    return float((weights * p * (1 - p)).sum() / weights.sum())


def main() -> None:
    """Command line."""
    options = argparse.ArgumentParser(prog="benchmarks.gate", description=__doc__)
    options.add_argument("--trials", type=int, default=2000, help="pairs of each kind")
    options.add_argument(
        "--margin", type=float, default=0.005, help="nats per row that are worth a change; below 0, that it may cost"
    )
    options.add_argument(
        "--better", type=float, default=0.02, help="by how much more than the margin a better one is better"
    )
    options.add_argument("--confidence", type=float, default=Gate().confidence)
    options.add_argument("--days", type=int, default=7)
    options.add_argument("--rows", type=int, default=900, help="rows a day")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options.add_argument("--out", type=Path, help="write the JSON to a file, too")
    args = options.parse_args()
    world = World(args.days, args.rows, GatePolicy("log_loss", args.margin, args.confidence, (), 0.02))
    size = abs(args.margin)
    gains = {"equal": 0.0, "worse": -size, "better": size + args.better, "much_worse": -size - args.better}
    found = list(rates(world, gains, args.trials, args.seed))
    result = {
        **{f"{pair['name']}_promoted": pair["promoted"] for pair in found}, "trials": args.trials,
        "margin": args.margin, "better_by": gains["better"], "confidence": args.confidence, "days": args.days,
        "rows_per_day": args.rows, "seed": args.seed, "pairs": found,
    }  # fmt: skip
    if args.json:
        publish(result, args.out)
        return
    table = Table(
        "pair", "true gain", "measured gain", "standard error", "promoted", title=f"{args.trials} pairs of each kind"
    )
    for pair in found:
        table.add_row(
            pair["name"], f"{pair['gain']:+.4f}", f"{pair['measured_gain']:+.4f}", f"{pair['standard_error']:.4f}",
            f"{pair['promoted']:.1%}",
        )  # fmt: skip
    Console().print(table)
    if args.out:
        args.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
