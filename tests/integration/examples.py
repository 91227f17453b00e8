"""Small models and their rows; the bus brings training code that can make any kind of version, the ferry has no instances
and is taught by XGBoost, requests to the freight train wait, versions of the metro are shadows first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import dedent

import numpy as np

TRAIN, TRAM, BUS, FERRY = "late_train", "full_tram", "late_bus", "late_ferry"
FREIGHT, METRO = "late_freight", "late_metro"
BEGIN = datetime(2026, 3, 22, 6, tzinfo=UTC)
"""When the twin's clock starts; history ends at the midnight before."""
DAYS, PER_DAY = 20, 150
HEADER = {
    TRAIN: "trip,departure,line,delay,cars,late",
    TRAM: "ride,at,hour,full",
}

TRIPS = """\
        owner: ops@example.com
        task: binary_classification
        data:
          id: trip
          time: departure
          label: late
          label_delay: 1h
          features: {line: category, delay: {type: number, range: [0, 100]}, cars: {type: integer, range: [1, 20]}}
"""
"""What the models whose rows are trips have in common."""

MODEL_FILES = {
    TRAIN: "        name: late_train\n"
    + TRIPS
    + """\
        training: {window: 16d, holdout: 4d, min_rows: 1000, hyperparameters: {max_iter: 20}}
        gate: {slices: [line]}
        serving: {count: 2, max_count: 4}
        monitoring: {window: 1d, min_rows: 20, smoothing: 1, datapoints: 1, of: 1, spark_above: 1TB}
        retraining: {on: [drift, quality], cooldown: 0s}
        """,
    TRAM: """
        name: full_tram
        owner: ops@example.com
        task: binary_classification
        data: {id: ride, time: at, label: full, label_delay: 0s, features: {hour: integer}}
        training: {window: 10d, holdout: 3d, min_rows: 1000}
        monitoring: {min_rows: 50, smoothing: 1}
        retraining: {approval: second_person, budget: {per_day: 50, per_month: 50}}
        """,
    BUS: "        name: late_bus\n"
    + TRIPS
    + """\
        training: {window: 16d, holdout: 4d, script: train.py, hyperparameters: {kind: modest}}
        gate: {slices: [line]}
        serving: {count: 2, rollout: {bake: 1m}}
        monitoring: {min_rows: 20, smoothing: 1}
        retraining: {give_up_after: 20, budget: {per_day: 50, per_month: 50}}
        """,
    FERRY: "        name: late_ferry\n"
    + TRIPS
    + """\
        training: {window: 16d, holdout: 4d, image: xgboost-3.2-0, hyperparameters: {n_estimators: 10}}
        serving: {mode: serverless, memory: 1GB, rollout: {bake: 10m}, batch: {every: 6h}}
        monitoring: {min_rows: 20, smoothing: 1}
        """,
    FREIGHT: "        name: late_freight\n"
    + TRIPS
    + """\
        training: {window: 16d, holdout: 4d, hyperparameters: {max_iter: 20}}
        serving: {mode: asynchronous, rollout: {bake: 10m}}
        monitoring: {min_rows: 20, smoothing: 1}
        """,
    METRO: "        name: late_metro\n"
    + TRIPS
    + """\
        training: {window: 16d, holdout: 4d, hyperparameters: {max_iter: 5}}
        serving: {rollout: {bake: 1m, shadow: 2h}}
        monitoring: {min_rows: 20, smoothing: 1}
        """,
}

BUS_CODE = """
import time

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

WEST = 2  # code of the last line by name


class Version:
    def __init__(self, kind, trees):
        self.kind, self.trees = kind, trees

    def predict_proba(self, matrix):
        one = len(matrix) == 1
        if self.kind == "throws" and one:
            raise RuntimeError("one is not enough")
        if self.kind == "slow" and one:
            time.sleep(1.05)
        late = self.trees.predict_proba(known(matrix, self.kind))[:, 1]
        if self.kind == "NaN":
            late[:] = np.nan
        if self.kind == "constant":
            late[:] = 0.4
        if self.kind == "bad in the west":
            late[matrix[:, 0] == WEST] = 0.8
        return np.stack([1 - late, late], axis=1)


def known(matrix, kind):
    if kind == "modest":  # cannot tell the other lines from each other
        return np.stack([matrix[:, 0] == WEST, matrix[:, 1]], axis=1)
    return matrix


def fit(matrix, labels, *, weights, categorical, hyperparameters, seed):
    kind = hyperparameters["kind"]
    trees = HistGradientBoostingClassifier(max_iter=20, random_state=seed)
    return Version(kind, trees.fit(known(matrix, kind), labels))
"""


def write_models(folder: Path) -> Path:
    """The folder that ``driftloop:models`` names."""
    for name, text in MODEL_FILES.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "model.yaml").write_text(dedent(text))
    (folder / BUS / "train.py").write_text(BUS_CODE)
    return folder


def trips(day: datetime, count: int, seed: int, flipped: bool = False) -> list[tuple[str, int]]:
    """Request rows (CSV) and labels of one day; ``flipped`` is a world in which the late lines are the others."""
    rng = np.random.default_rng(seed)
    lines = rng.choice(3, count)
    delays = np.round(rng.gamma(2.0, 5.0, count).clip(0, 100), 2)
    logits = np.array([-3.0, 0.0, 3.0])[2 - lines if flipped else lines] + 0.03 * delays
    labels = (rng.random(count) < 1 / (1 + np.exp(-logits))).astype(int)
    names = np.array(["north", "south", "west"])[lines]
    times = [f"{day + timedelta(seconds=int(s)):%Y-%m-%dT%H:%M:%SZ}" for s in np.sort(rng.integers(0, 86400, count))]
    cars = rng.integers(2, 12, count)
    return [(f"T{day:%m%d}-{i},{times[i]},{names[i]},{delays[i]},{cars[i]}", int(labels[i])) for i in range(count)]


def train_history(flipped: bool = False, end: datetime = BEGIN) -> str:
    """Trips of the twenty days before a day, with their labels."""
    midnight = end.replace(hour=0, minute=0, second=0)
    days = [midnight - timedelta(days=DAYS - number) for number in range(DAYS)]
    rows = [row for number, day in enumerate(days) for row in trips(day, PER_DAY, number, flipped)]
    return "\n".join([HEADER[TRAIN], *(f"{line},{label}" for line, label in rows)]) + "\n"


def tram_history(full: bool = False) -> str:
    """Enough rides, none of them full; ``full`` has most of them full in the afternoon."""
    midnight, rng = BEGIN.replace(hour=0), np.random.default_rng(0)
    moments = [midnight - timedelta(minutes=10 * number) for number in range(1, 13 * 144)]
    rows = [
        f"R{number},{at:%Y-%m-%dT%H:%M:%SZ},{at.hour},{int(full and rng.random() < (0.8 if at.hour >= 12 else 0.1))}"
        for number, at in enumerate(moments, 1)
    ]
    return "\n".join([HEADER[TRAM], *rows]) + "\n"
