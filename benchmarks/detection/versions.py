"""Versions of a model, trained as the pipeline's steps train them, each once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import sklearn

from benchmarks.detection.stream import Stream
from driftloop.data.schema import Columns
from driftloop.data.windows import Window, iso
from driftloop.monitoring.baseline import Baseline, Windowing, build_baseline
from driftloop.monitoring.statistics import Floats
from driftloop.promotion.gate import GatePolicy, GateResult, compare
from driftloop.retraining.decision import Policy, TrainingWindows, training_windows
from pipelines.steps import fitting, inference, out_of_time
from pipelines.steps.fitting import Trainer
from pipelines.steps.inference import Predictor, score
from pipelines.steps.out_of_time import OutOfTime, predict_out_of_time
from pipelines.steps.step import StepError
from pipelines.steps.validate import table_faults


@dataclass(frozen=True)
class Version:
    """What training left behind."""

    windows: TrainingWindows
    predictor: Predictor
    unseen: OutOfTime
    """Out-of-time predictions of the training rows."""
    baseline: Baseline
    rate: float
    """Share of label 1 in the training rows."""

    def scores(self, rows: Columns) -> Floats:
        """Probability of label 1, as the endpoint writes it."""
        if not len(next(iter(rows.values()))):
            return np.empty(0)
        return np.asarray(np.round(score(self.predictor, rows), 6))


class Workshop:
    """Trains versions on windows of one stream and keeps them."""

    def __init__(self, stream: Stream, folder: Path | None = None) -> None:
        """``folder``: where fitted models are kept from run to run; None: nowhere."""
        self.stream = stream
        self._folder = folder
        self._versions: dict[TrainingWindows, Version] = {}

    def train(self, now: datetime) -> Version:
        """The version that a pipeline started now would train. Raises StepError where a step would fail."""
        windows = training_windows(Policy.from_spec(self.stream.spec), now)
        if windows not in self._versions:
            self._versions[windows] = self._train(windows)
        return self._versions[windows]

    def challenge(self, challenger: Version, champion: Version | None) -> GateResult:
        """Both versions on the challenger's holdout, as the evaluation step compares them."""
        rows = self.stream.table(self.stream.rows(challenger.windows.holdout))
        scores = [None if version is None else version.scores(rows) for version in (challenger, champion)]
        ours = scores[0]
        if ours is None:
            raise ValueError("a gate needs a challenger")
        dates = rows[self.stream.schema.time].astype("datetime64[D]")
        policy = GatePolicy.from_spec(self.stream.spec)
        return compare(rows[self.stream.schema.label], ours, scores[1], dates, rows, policy, challenger.rate)

    def _train(self, windows: TrainingWindows) -> Version:
        stream, spec = self.stream, self.stream.spec
        needed = {"training": spec["training"]["min_rows"], "holdout": spec["monitoring"]["min_rows"]}
        columns = stream.table(stream.rows(windows.training))
        for name, window in (("training", windows.training), ("holdout", windows.holdout)):
            part = stream.table(stream.rows(window))
            faults = [f"{name}: {fault}" for fault in table_faults(stream.schema, part, window, needed[name])]
            if faults:
                raise StepError(*faults)
        predictor, unseen = self._fitted(windows.training, columns)
        try:
            baseline = build_baseline(
                stream.schema, columns, unseen.predictions, unseen.importance, Windowing.from_spec(dict(spec))
            )
        except ValueError as error:
            raise StepError(f"no baseline can be made: {error}") from error
        return Version(windows, predictor, unseen, baseline, float(columns[stream.schema.label].mean()))

    def _fitted(self, window: Window, columns: Columns) -> tuple[Predictor, OutOfTime]:
        path = None if self._folder is None else self._folder / f"{self._key(window)}.joblib"
        if path is not None and path.exists():
            kept: tuple[Predictor, OutOfTime] = joblib.load(path)
            return kept
        training = self.stream.spec["training"]
        trainer = Trainer(self.stream.schema, columns, training["hyperparameters"], training["seed"])
        unseen = predict_out_of_time(trainer, columns)
        fitted = trainer.fit(np.ones(len(columns[self.stream.schema.id]), dtype=bool)), unseen
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            joblib.dump(fitted, path)
        return fitted

    def _key(self, window: Window) -> str:
        """Hash of all that a fit depends on."""
        what = (
            self.stream.digest,
            iso(window.start),
            iso(window.end),
            sklearn.__version__,
            _settings(self.stream.spec),
        )
        key = hashlib.sha256(json.dumps(what).encode())
        for module in (fitting, inference, out_of_time):
            key.update(Path(str(module.__file__)).read_bytes())
        return key.hexdigest()[:24]


def _settings(spec: Mapping[str, Any]) -> str:
    training = {name: spec["training"][name] for name in ("hyperparameters", "seed")}
    return json.dumps([spec["data"], training, spec["gate"]["slices"]], sort_keys=True)
