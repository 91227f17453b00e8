"""The whole loop on real flights: deploy, train on January and February, replay March to September, report."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from driftloop.data.windows import iso
from driftloop.demo.chronicle import Chronicle
from driftloop.demo.display import Display
from driftloop.demo.flights import load_flights
from driftloop.demo.replay import Replay, Traffic, import_history, traffic_of
from driftloop.demo.stage import Stage, Timer, set_stage
from driftloop.demo.yardstick import daily_quality, quality, static_scores
from driftloop.reports.page import render
from driftloop.reports.record import LoopRecord
from driftloop.retraining.episode import Episode, Status, Trigger
from driftloop.spec import ModelSpec, load_model
from driftloop.twin.toolkit import ROOT

MODEL = "flight_delay"
FIRST, LAST = datetime(2013, 3, 1, tzinfo=UTC), datetime(2013, 10, 1, tzinfo=UTC)
"""The replay begins and ends here; what is older is history that the first version may learn from."""

LOOK_AT = 3
"""Hour of the day at which the demo tells what has happened: the windows of the day before are judged by then."""


class LoopNotClosedError(Exception):
    """The demo ran, but no retraining that an alarm asked for ended in a version that served."""


@dataclass(frozen=True)
class Outcome:
    """What a run left behind."""

    summary: dict[str, Any]
    report: Path
    closed: bool


def run_demo(folder: Path, display: Display, last: datetime = LAST) -> Outcome:
    """Run the demo; results go to ``folder``.

    Raises TwinError, ToolkitError or LoopNotClosedError. The twin is gone when this returns or raises.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    timer = Timer()
    spec = load_model(ROOT / "models" / MODEL / "model.yaml")
    display.say("step", "synthesise the stacks, boot the embedded AWS, deploy with the CDK CLI")
    stage = set_stage(folder, MODEL, FIRST, timer)
    try:
        return _play(stage, spec, folder, display, timer, last)
    finally:
        stage.twin.stop()


def _play(stage: Stage, spec: ModelSpec, folder: Path, display: Display, timer: Timer, last: datetime) -> Outcome:
    with ThreadPoolExecutor(1) as pool:
        # Reading the flights takes about as long as the CDK takes to deploy.
        reading = pool.submit(load_flights, spec)
        timer.measure("deploy", stage.deploy)
        flights = reading.result()
    for stack in stage.stacks():
        display.say("step", f"{stack['name']}: {stack['resources']} resources, {stack['status']}")
    before = flights.index < FIRST
    import_history(stage, spec, flights[before])
    traffic = traffic_of(spec, flights[~before & (flights.index < last)])
    chronicle = Chronicle(stage, display)
    display.say("step", f"train the first version on {int(before.sum()):,} flights of January and February")
    timer.measure("first_training", lambda: _train_first(stage, chronicle))
    replay = Replay(stage, spec, traffic)
    with ThreadPoolExecutor(1) as pool:
        static = pool.submit(static_scores, stage, MODEL, traffic, folder / "first-version")
        timer.measure("replay", lambda: _replay(replay, chronicle, display, last))
    summary = _summary(stage, chronicle, traffic, replay, static.result())
    summary["timings_s"] = {**timer.seconds, "total": timer.total()}
    return _write(folder, summary, chronicle)


def _train_first(stage: Stage, chronicle: Chronicle) -> None:
    """Nobody has traffic yet, so a person asks for the first version; everything after it comes from the data."""
    detail = json.dumps({"model": MODEL, "reason": "the first version"})
    entry = {"Source": "driftloop", "DetailType": "Retraining Requested", "Detail": detail}
    answer = stage.client("events").put_events(Entries=[entry])
    if answer["FailedEntryCount"]:
        raise RuntimeError(f"the request for the first version was refused: {answer['Entries']}")
    stage.twin.door("settle")
    chronicle.look(FIRST)
    if stage.ledger.champion(MODEL) is None:
        episodes = chronicle.episodes()
        raise LoopNotClosedError(f"no first version serves: {episodes[-1].outcome if episodes else 'no episode'}")


def _replay(replay: Replay, chronicle: Chronicle, display: Display, last: datetime) -> None:
    days = (last - FIRST).days + 1
    with display.progress("March", days):
        for moment in replay.steps(FIRST, last):
            if moment.hour == LOOK_AT:
                chronicle.look(moment)
                display.advance(f"{moment:%d %B}")
    chronicle.look(last)


def _summary(
    stage: Stage, chronicle: Chronicle, traffic: Traffic, replay: Replay, static: np.ndarray[Any, Any]
) -> dict[str, Any]:
    stage.twin.door("settle")
    served = np.flatnonzero(~np.isnan(replay.scores))
    episodes = chronicle.episodes()
    days = sorted(traffic.bounds)
    return {
        "model": MODEL,
        "data": {
            "rows_replayed": len(served),
            "first_day": f"{days[0]:%Y-%m-%d}",
            "last_day": f"{days[-1]:%Y-%m-%d}",
        },
        "stacks": stage.stacks(),
        "episodes": [_episode(episode) for episode in episodes],
        "promotions": [p for episode in episodes if (p := _promotion(episode, chronicle.evaluation(episode)))],
        "quality": daily_quality(traffic, replay.scores, static),
        "result": {
            "served": quality(traffic.labels[served], replay.scores[served]),
            "static": quality(traffic.labels[served], static[served]),
        },
    }


def _episode(episode: Episode) -> dict[str, Any]:
    fields = ("id", "trigger", "reason", "status", "rule", "outcome", "pipeline_execution_arn", "model_package_arn")
    return {**{name: str(getattr(episode, name)) for name in fields}, "opened_at": iso(episode.opened_at)}


def _promotion(episode: Episode, evaluation: dict[str, Any] | None) -> dict[str, Any] | None:
    if evaluation is None:
        return None
    metric = evaluation["metric"]
    champion = evaluation["champion"]
    return {
        "model_package_arn": episode.model_package_arn,
        "metric": metric,
        "champion": champion[metric] if champion else None,
        "challenger": evaluation["challenger"][metric],
        "decision": str(episode.status) if episode.status.is_final else evaluation["gate"]["decision"],
        "at": iso(episode.closed_at or episode.opened_at),
    }


def is_closed(summary: dict[str, Any]) -> bool:
    """True if an episode that an alarm's rule opened ended in a version that then served traffic."""
    last_day = summary["data"]["last_day"]
    promoted = {p["model_package_arn"]: p["at"] for p in summary["promotions"] if p["decision"] == Status.PROMOTED}
    return any(
        episode["trigger"] in (Trigger.DRIFT, Trigger.QUALITY)
        and episode["status"] == Status.PROMOTED
        and promoted[episode["model_package_arn"]][:10] < last_day
        for episode in summary["episodes"]
    )


def _write(folder: Path, summary: dict[str, Any], chronicle: Chronicle) -> Outcome:
    evaluations = [
        {"model_package_arn": episode.model_package_arn, "episode_id": episode.id, "evaluation": evaluation}
        for episode in chronicle.episodes()
        if (evaluation := chronicle.evaluation(episode))
    ]
    record = {
        "summary": summary,
        "reports": [chronicle.reports[key] for key in sorted(chronicle.reports)],
        "alarms": chronicle.alarms(),
        "evaluations": evaluations,
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    text = json.dumps(record)
    (folder / "record.json").write_text(text)
    report = folder / "report.html"
    report.write_text(render(LoopRecord.from_json(text)))
    return Outcome(summary, report, is_closed(summary))
