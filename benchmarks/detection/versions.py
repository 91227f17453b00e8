"""Versions of a model, trained as the pipeline's steps train them, each once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
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
from driftloop.promotion.gate import GatePolicy, GateResult, Traits, compare
from driftloop.retraining.decision import Policy, TrainingWindows, training_windows
from pipelines.steps import fitting, inference, out_of_time
from pipelines.steps.fitting import Trainer
from pipelines.steps.holdout import unseen_part
from pipelines.steps.inference import Predictor, score
from pipelines.steps.out_of_time import OutOfTime, predict_out_of_time
from pipelines.steps.refit import check, fit_all, refitted_window
from pipelines.steps.step import StepError
from pipelines.steps.validate import table_faults


@dataclass(frozen=True)
class Version:
    """What training left behind."""

    windows: TrainingWindows
    learned: Window
    """Whose rows the predictor was fitted on: the training window, or the one up to the holdout's end once it is refitted."""
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
        self._refitted: dict[TrainingWindows, Version] = {}

    def train(self, now: datetime) -> Version:
        """The version that a pipeline started now would train. Raises StepError where a step would fail."""
        windows = training_windows(Policy.from_spec(self.stream.spec), now)
        if windows not in self._versions:
            self._versions[windows] = self._train(windows)
        return self._versions[windows]

    def challenge(self, challenger: Version, champion: Version | None) -> GateResult:
        """Both versions on the challenger's holdout, as the evaluation step compares them.

        Raises StepError if the champion has learned from too much of it.
        """
        holdout = challenger.windows.holdout
        rows = self.stream.table(self.stream.rows(holdout))
        if champion is not None:
            _, rows = unseen_part(self.stream.schema, holdout, rows, champion.learned.end)
        scores = [None if version is None else version.scores(rows) for version in (challenger, champion)]
        ours = scores[0]
        if ours is None:
            raise ValueError("a gate needs a challenger")
        dates = rows[self.stream.schema.time].astype("datetime64[D]")
        policy = GatePolicy.from_spec(self.stream.spec)
        traits = Traits(challenger.rate, champion_rate=None if champion is None else champion.rate)
        return compare(rows[self.stream.schema.label], ours, scores[1], dates, rows, policy, traits)

    def refit(self, version: Version) -> Version:
        """The version as the pipeline registers it, once it has passed the gate. Raises StepError as the step does."""
        if version.windows not in self._refitted:
            self._refitted[version.windows] = self._refit(version)
        return self._refitted[version.windows]

    def _refit(self, version: Version) -> Version:
        stream, windows = self.stream, version.windows
        both = refitted_window(windows.training, windows.holdout.end)
        columns = stream.table(stream.rows(both))
        predictor: Predictor = self._kept(
            both, "refit", lambda: fit_all(stream.schema, columns, stream.spec["training"])
        )
        check(version.predictor, predictor, stream.table(stream.rows(windows.holdout)))
        return replace(version, learned=both, predictor=predictor)

    def _train(self, windows: TrainingWindows) -> Version:
        stream, spec = self.stream, self.stream.spec
        needed = {"training": spec["training"]["min_rows"], "holdout": spec["monitoring"]["min_rows"]}
        columns = stream.table(stream.rows(windows.training))
        for name, window in (("training", windows.training), ("holdout", windows.holdout)):
            part = stream.table(stream.rows(window))
            faults = [f"{name}: {fault}" for fault in table_faults(stream.schema, part, window, needed[name])]
            if faults:
                raise StepError(*faults)
        predictor, unseen = self._kept(windows.training, "train", lambda: self._fitted(columns))
        try:
            baseline = build_baseline(
                stream.schema, columns, unseen.predictions, unseen.importance, Windowing.from_spec(dict(spec))
            )
        except ValueError as error:
            raise StepError(f"no baseline can be made: {error}") from error
        rate = float(columns[stream.schema.label].mean())
        return Version(windows, windows.training, predictor, unseen, baseline, rate)

    def _fitted(self, columns: Columns) -> tuple[Predictor, OutOfTime]:
        training = self.stream.spec["training"]
        trainer = Trainer(self.stream.schema, columns, training)
        unseen = predict_out_of_time(trainer, columns)
        return trainer.fit_all(), unseen

    def _kept(self, window: Window, step: str, fit: Callable[[], Any]) -> Any:
        """What a step fits on a window, from the folder if it is there."""
        if self._folder is None:
            return fit()
        path = self._folder / f"{self._key(window, step)}.joblib"
        if path.exists():
            return joblib.load(path)
        fitted = fit()
        path.parent.mkdir(parents=True, exist_ok=True)
        joblib.dump(fitted, path)
        return fitted

    def _key(self, window: Window, step: str) -> str:
        """Hash of all that a fit depends on."""
        what = (
            self.stream.digest,
            step,
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
    training = {name: spec["training"].get(name) for name in ("hyperparameters", "seed", "half_life", "source")}
    return json.dumps([spec["data"], training, spec["gate"]["slices"]], sort_keys=True)
