"""A made-up year of flights that runs through the real statistics: realistic records for the report page, seeded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]

from driftloop.data.capture import SCORE
from driftloop.data.rows import select
from driftloop.data.schema import Columns, Feature, Schema
from driftloop.data.windows import DAY, Window, iso, to_numpy
from driftloop.monitoring.assessment import Labelled, assess
from driftloop.monitoring.baseline import Baseline, Windowing, build_baseline
from driftloop.monitoring.outcomes import NO_OUTCOMES, Outcomes, count_outcomes
from driftloop.monitoring.profile import Profile, profile_columns
from driftloop.monitoring.report import DriftReport

FIRST = datetime(2013, 6, 1, tzinfo=UTC)
HISTORY, HOLDOUT, COOLDOWN, MARGIN = 60, 7, 14, 0.002
CARRIERS = ("9E", "AA", "B6", "DL", "EV", "MQ", "UA", "US", "WN")
ORIGINS = ("EWR", "JFK", "LGA")
DESTS = ("ATL", "BOS", "CLT", "DCA", "DEN", "DFW", "FLL", "LAX", "MCO", "MIA", "ORD", "PBI", "RDU", "SFO", "SJU", "TPA")
SCHEMA = Schema(
    "flight_id", "scheduled_departure", "late", timedelta(hours=12),
    (
        Feature("carrier", "category"), Feature("origin", "category"), Feature("dest", "category"),
        Feature("hour", "integer", 0, 23), Feature("weekday", "integer", 0, 6), Feature("temp", "number", -40, 130),
        Feature("wind_speed", "number", 0, 150), Feature("precip", "number", 0, 10), Feature("visib", "number", 0, 10),
    ),
)  # fmt: skip
WINDOWING = Windowing(seconds=86400, min_rows=200, smoothing=7, sensitivity=0.01, seed=7)
ACCOUNT = "arn:aws:sagemaker:eu-west-1:123456789012"
HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"> & %{x} </td>"


def make_record(days: int = 214, rows_per_day: int = 600, seed: int = 7) -> dict[str, Any]:
    """A record as plain JSON values: drift of season and of habits, retrainings, a broken feed, a failed training."""
    return _Run(np.random.default_rng(seed), days, rows_per_day).play()


@dataclass
class _Version:
    number: int
    model: LogisticRegression
    baseline: Baseline
    since: datetime

    @property
    def arn(self) -> str:
        return f"{ACCOUNT}:model-package/driftloop-flight-delay/{self.number}"


@dataclass
class _Run:
    rng: np.random.Generator
    days: int
    rows: int
    reports: list[DriftReport] = field(default_factory=list)
    alarms: list[dict[str, str]] = field(default_factory=list)
    episodes: list[dict[str, str]] = field(default_factory=list)
    promotions: list[dict[str, Any]] = field(default_factory=list)
    evaluations: list[dict[str, Any]] = field(default_factory=list)
    quality: list[dict[str, Any]] = field(default_factory=list)
    outcomes: list[Outcomes] = field(default_factory=list)
    profiles: list[Profile] = field(default_factory=list)
    """Of the windows that the champion has seen."""
    closed: datetime = FIRST

    def play(self) -> dict[str, Any]:
        self.traffic = _traffic(self.rng, self.days, self.rows)
        self.champion = self.static = self._train(1, FIRST - DAY * HOLDOUT)
        self._judge("manual", "the first version was asked for", FIRST - timedelta(hours=12), self.champion, None)
        for number in range(self.days):
            window = Window(FIRST + DAY * number, FIRST + DAY * (number + 1))
            self._day(window)
        return self._record()

    def _day(self, window: Window) -> None:
        rows = window.rows(self.traffic, SCHEMA.time)
        if window.start.date().isoformat() in {"2013-09-17", "2013-09-18"}:  # the weather feed is down
            rows = rows | {"temp": np.full(len(rows["temp"]), np.nan)}
        served, static = _score(self.champion.model, rows), _score(self.static.model, rows)
        label = rows[SCHEMA.label]
        self.quality.append(
            {
                "window_start": iso(window.start),
                "rows": len(label),
                "served": _quality(label, served),
                "static": _quality(label, static),
            }
        )
        self.outcomes.append(count_outcomes(label, served))
        baseline = self.champion.baseline
        self.profiles.append(profile_columns(baseline.bins, rows | {SCORE: served}, SCHEMA))
        fresh = window.end - self.champion.since < DAY * WINDOWING.smoothing
        outcomes = sum(self.outcomes[-WINDOWING.smoothing :], start=NO_OUTCOMES)
        recent = None if fresh else Labelled(outcomes, 1.0)
        self.reports.append(
            assess(
                baseline, self.profiles[-WINDOWING.smoothing :], recent, model="flight_delay",
                version=self.champion.number, window=window, min_rows=WINDOWING.min_rows,
                smoothing=WINDOWING.smoothing,
            )
        )  # fmt: skip
        self._alarms(window.end)
        if window.start == FIRST + DAY * 7:
            self._retrain("schedule", "the model file's schedule", window.end)

    def _alarms(self, now: datetime) -> None:
        recent = self.reports[-3:]
        over = {
            "drift": sum(max(r.input_drift or 0, r.prediction_drift or 0) >= 1 for r in recent) >= 2,
            "quality": sum((r.quality_loss or 0) >= 1 for r in recent) >= 2,
        }
        for signal, is_over in over.items():
            name = f"driftloop-flight-delay-{signal}"
            old = next((a["new"] for a in reversed(self.alarms) if a["alarm"] == name), "OK")
            new = "ALARM" if is_over else "OK"
            if new != old:
                reason = f"2 out of the last 3 datapoints were {'above' if is_over else 'below'} the threshold (1.0)"
                self.alarms.append({"alarm": name, "at": iso(now), "old": old, "new": new, "reason": reason})
                if is_over:
                    self._retrain(signal, "; ".join(self.reports[-1].reasons), now + timedelta(minutes=2))

    def _retrain(self, trigger: str, reason: str, now: datetime) -> None:
        if now < self.closed + DAY * COOLDOWN:
            until = iso(self.closed + DAY * COOLDOWN)
            self._episode(trigger, reason, now, "refused", f"cooldown after the last episode lasts until {until}", "")
            return
        self.closed = now + timedelta(hours=1)
        if sum(e["status"] == "failed" for e in self.episodes) == 0 and len(self.promotions) >= 3:
            self._episode(
                trigger, reason, now, "failed", "step Train failed: CapacityError: no ml.m5.large is free", ""
            )
            return
        end = now.replace(hour=0, minute=0) - DAY * HOLDOUT
        self._judge(trigger, reason, now, self._train(self.champion.number + 1, end), self.champion)

    def _judge(self, trigger: str, reason: str, now: datetime, new: _Version, old: _Version | None) -> None:
        end = now.replace(hour=0, minute=0) if old else FIRST
        holdout = Window(end - DAY * HOLDOUT, end)
        rows = holdout.rows(self.traffic, SCHEMA.time)
        details = _evaluate(rows, new, old, holdout)
        promoted = details["gate"]["decision"] == "promote"
        arn = new.arn if promoted else ""
        status = "promoted" if promoted else "rejected"
        self._episode(
            trigger, reason, now, status, f"version {new.number} serves" if promoted else details["gate"]["reason"], arn
        )
        self.evaluations.append(
            {"model_package_arn": arn, "episode_id": self.episodes[-1]["id"], "evaluation": details}
        )
        if promoted:
            new.since = now + timedelta(minutes=50)
            self.champion, self.profiles = new, []
            losses = {
                "champion": old and details["champion"]["log_loss"],
                "challenger": details["challenger"]["log_loss"],
            }
            self.promotions.append(
                {"model_package_arn": arn, "metric": "log_loss", **losses, "decision": "promote", "at": iso(new.since)}
            )

    def _episode(self, trigger: str, reason: str, now: datetime, status: str, outcome: str, arn: str) -> None:
        name = f"{len(self.episodes) + 1:020x}"
        execution = "" if status == "refused" else f"{ACCOUNT}:pipeline/driftloop-flight-delay/execution/{name[:12]}"
        self.episodes.append(
            {
                "id": name, "trigger": trigger, "reason": reason, "opened_at": iso(now), "outcome": outcome,
                "pipeline_execution_arn": execution, "status": status, "model_package_arn": arn,
            }
        )  # fmt: skip

    def _train(self, number: int, end: datetime) -> _Version:
        rows = Window(end - DAY * HISTORY, end).rows(self.traffic, SCHEMA.time)
        model = LogisticRegression(max_iter=200).fit(_matrix(rows), rows[SCHEMA.label])
        scored = rows | {SCORE: _score(model, rows)}
        baseline = build_baseline(SCHEMA, rows, scored, _importance(model, rows), WINDOWING)
        return _Version(number, model, baseline, FIRST)

    def _record(self) -> dict[str, Any]:
        last = FIRST + DAY * (self.days - 1)
        summary = {
            "model": "flight_delay",
            "data": {
                "rows_replayed": self.days * self.rows,
                "first_day": str(FIRST.date()),
                "last_day": str(last.date()),
            },
            "stacks": [
                {"name": "driftloop-platform", "resources": 97, "status": "CREATE_COMPLETE"},
                {"name": "driftloop-flight-delay", "resources": 31, "status": "CREATE_COMPLETE"},
            ],
            "episodes": self.episodes,
            "promotions": self.promotions,
            "quality": self.quality,
            "timings_s": {
                "boot": 3.1,
                "synth": 14.2,
                "deploy": 9.8,
                "first_training": 17.4,
                "replay": 241.0,
                "total": 285.5,
            },
        }
        reports = [report.to_dict() for report in self.reports]
        return {"summary": summary, "reports": reports, "alarms": self.alarms, "evaluations": self.evaluations}


def _traffic(rng: np.random.Generator, days: int, rows: int) -> Columns:
    parts = list(_days(rng, days, rows))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _days(rng: np.random.Generator, days: int, rows: int) -> Iterator[Columns]:
    weather = 0.0
    for number in range(-HISTORY - HOLDOUT, days):
        start = FIRST + DAY * number
        weather = 0.5 * weather + rng.normal(0, 1)
        season = np.cos((start.timetuple().tm_yday - 200) / 365 * 2 * np.pi)
        hour = rng.choice(np.arange(5, 23), rows)
        # Carriers leave and come, which is what season alone would not show.
        weights = np.array([6, 10, 16, 14, 16, 8, 17, 6, 4], dtype=float)
        weights[[0, 4, 7]] *= 1 + np.clip((number - 90) / 40, 0, 1) * np.array([1.4, -0.5, -0.6])
        wet = rng.random(rows) < 0.06 + 0.12 * (weather > 1)
        columns: Columns = {
            "carrier": rng.choice(CARRIERS, rows, p=weights / weights.sum()),
            "origin": rng.choice(ORIGINS, rows, p=[0.36, 0.33, 0.31]),
            "dest": rng.choice(DESTS, rows),
            "hour": hour.astype(float),
            "weekday": np.full(rows, float(start.weekday())),
            "temp": np.round(52 + 26 * season + 5 * weather + rng.normal(0, 5, rows) + (hour - 12) * 0.6, 1),
            "wind_speed": np.round(rng.gamma(4, 2.6, rows) * (1 + 0.15 * (weather > 1)), 1),
            "precip": np.where(wet, np.round(rng.gamma(1, 0.08, rows), 2), 0.0),
            "visib": np.where(wet, np.round(rng.uniform(1, 10, rows), 1), 10.0),
        }
        known = to_numpy(start) + (hour * 3600).astype("timedelta64[s]")
        ids = np.array([f"F{number + 100:03d}{i:05d}" for i in range(rows)])
        label = (rng.random(rows) < _lateness(columns, number, weather, rng.normal(0, 0.18))).astype(np.int64)
        yield {SCHEMA.id: ids, SCHEMA.time: known, **columns, SCHEMA.label: label}


def _lateness(columns: Columns, number: int, weather: float, luck: float) -> np.ndarray[Any, Any]:
    """True probability of being late; habits change in two steps (autumn timetable, holidays)."""
    autumn, holidays = np.clip((number - 85) / 25, 0, 1), np.clip((number - 175) / 12, 0, 1)
    logit = -1.5 + 0.12 * (columns["hour"] - 12) * (1 - 0.7 * autumn + 0.5 * holidays) + 0.25 * weather + luck
    logit = (
        logit + np.isin(columns["carrier"], ["EV", "9E"]) * (0.7 - 1.2 * autumn) + (columns["origin"] == "EWR") * 0.3
    )
    return np.asarray(1 / (1 + np.exp(-(logit + 2.5 * columns["precip"] - 0.5 * autumn + 1.1 * holidays))))


def _matrix(rows: Columns) -> np.ndarray[Any, Any]:
    numbers = [np.nan_to_num(rows[f.name], nan=55.0) / 20 for f in SCHEMA.features if not f.is_category]
    carriers = [(rows["carrier"] == value) * 1.0 for value in CARRIERS]
    return np.column_stack([*numbers, *carriers, *[(rows["origin"] == value) * 1.0 for value in ORIGINS]])


def _importance(model: LogisticRegression, rows: Columns) -> dict[str, float]:
    use = np.abs(model.coef_[0]) * _matrix(rows).std(axis=0)
    numeric = [f.name for f in SCHEMA.features if not f.is_category]
    shares = dict(zip(numeric, use[: len(numeric)].tolist(), strict=True))
    carriers = len(numeric) + len(CARRIERS)
    return {
        "carrier": float(use[len(numeric) : carriers].sum()),
        "origin": float(use[carriers:].sum()),
        "dest": 0.02,
    } | shares


def _score(model: LogisticRegression, rows: Columns) -> np.ndarray[Any, Any]:
    return np.asarray(model.predict_proba(_matrix(rows))[:, 1])


def _losses(label: np.ndarray[Any, Any], score: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.asarray(-np.where(label == 1, np.log(score), np.log(1 - score)))


def _quality(label: np.ndarray[Any, Any], score: np.ndarray[Any, Any]) -> dict[str, float | None]:
    auc = float(roc_auc_score(label, score)) if 0 < label.mean() < 1 else None
    return {"log_loss": float(_losses(label, score).mean()), "auc": auc}


def _evaluate(rows: Columns, new: _Version, old: _Version | None, holdout: Window) -> dict[str, Any]:
    label, score = rows[SCHEMA.label], _score(new.model, rows)
    rate = float(label.mean())
    known = _score(old.model, rows) if old else np.full(len(label), rate)
    gains = _losses(label, known) - _losses(label, score)
    advantage = float(gains.mean())
    bound = advantage - 1.645 * float(gains.std(ddof=1)) / len(gains) ** 0.5
    good = advantage >= MARGIN and bound > 0
    words = f"is better by {advantage:.4f} (at least {bound:.4f}); the margin is {MARGIN}"
    return {
        "metric": "log_loss",
        "rows": len(label),
        "challenger": _quality(label, score),
        "champion": {**_quality(label, known), "model_data_url": "s3://a/b", "endpoint_config": "c"} if old else None,
        "baseline_rate_log_loss": float(_losses(label, np.full(len(label), rate)).mean()),
        "slices": {"origin": {name: _slice(rows, name, score, known if old else None) for name in ORIGINS}},
        "gate": {
            "decision": "promote" if good else "reject",
            "reason": f"the challenger {words}" if good else f"not enough: the challenger {words}",
            "advantage": advantage, "lower_bound": bound, "margin": MARGIN,
        },
        "holdout": {"start": iso(holdout.start), "end": iso(holdout.end)},
    }  # fmt: skip


def _slice(
    rows: Columns, origin: str, score: np.ndarray[Any, Any], known: np.ndarray[Any, Any] | None
) -> dict[str, Any]:
    inside = rows["origin"] == origin
    label = select(rows, inside)[SCHEMA.label]
    champion = None if known is None else float(_losses(label, known[inside]).mean())
    return {"rows": len(label), "challenger": float(_losses(label, score[inside]).mean()), "champion": champion}


@cache
def record_json() -> str:
    """One realistic record, made once for all tests."""
    return json.dumps(make_record(), sort_keys=True)


def hostile_json() -> str:
    """The same record with markup in every text that comes from outside."""
    record = json.loads(record_json())
    summary = record["summary"]
    summary["model"] = HOSTILE
    for episode in summary["episodes"]:
        episode |= {"reason": HOSTILE, "outcome": HOSTILE, "trigger": HOSTILE, "pipeline_execution_arn": HOSTILE}
    for stack in summary["stacks"]:
        stack |= {"name": HOSTILE, "status": HOSTILE}
    for report in record["reports"]:
        report["reasons"] = [HOSTILE]
        for number, feature in enumerate(report["features"]):
            feature["name"] = f"{number} {HOSTILE}"
            feature["cells"] = [f"{cell} {HOSTILE}" for cell in feature["cells"]]
    for alarm in record["alarms"]:
        alarm |= {"reason": HOSTILE, "alarm": f"{alarm['alarm']}{HOSTILE}"}
    for evaluation in record["evaluations"]:
        evaluation["evaluation"]["gate"]["reason"] = HOSTILE
        evaluation["evaluation"]["slices"] = {HOSTILE: evaluation["evaluation"]["slices"]["origin"]}
    return json.dumps(record)


def empty_json() -> str:
    """A run in which nothing has happened yet."""
    record = json.loads(record_json())
    record["summary"] |= {"stacks": [], "episodes": [], "promotions": [], "quality": []}
    return json.dumps(record | {"reports": [], "alarms": [], "evaluations": []})


def first_day_json() -> str:
    """One report and one quality window, without an AUC; the first version serves."""
    record = json.loads(record_json())
    summary = record["summary"]
    summary["quality"] = summary["quality"][:1]
    summary["quality"][0]["served"]["auc"] = summary["quality"][0]["static"]["auc"] = None
    summary["episodes"] = summary["episodes"][:1]
    summary["promotions"] = summary["promotions"][:1]
    one = {"reports": record["reports"][:1], "alarms": [], "evaluations": record["evaluations"][:1]}
    return json.dumps(record | one)
