"""The README's first command, for real: the loop closes on a year of flights, and nothing stays behind."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from driftloop.reports.record import LoopRecord

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "build" / "demo"


@pytest.fixture(scope="session")
def demo() -> dict[str, Any]:
    """Summary of one run of `make demo`; what an earlier run left behind must not pass for it."""
    shutil.rmtree(DEMO, ignore_errors=True)
    done = subprocess.run(["make", "demo"], cwd=ROOT, capture_output=True, text=True, timeout=3600, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return json.loads((DEMO / "summary.json").read_text())


def test_an_alarm_led_to_a_version_that_served(demo: dict[str, Any]) -> None:
    promoted = [e for e in demo["episodes"] if e["status"] == "promoted" and e["trigger"] in ("drift", "quality")]
    assert promoted
    for episode in promoted:
        assert re.fullmatch(
            r"arn:aws:sagemaker:.*:model-package/driftloop-flight-delay/\d+", episode["model_package_arn"]
        )
        assert ":pipeline/driftloop-flight-delay/execution/" in episode["pipeline_execution_arn"]
        assert episode["reason"]


def test_served_predictions_were_better_than_never_retraining(demo: dict[str, Any]) -> None:
    rows = sum(window["rows"] for window in demo["quality"])
    loss = {
        which: sum(window["rows"] * window[which]["log_loss"] for window in demo["quality"]) / rows
        for which in ("served", "static")
    }
    assert rows == demo["data"]["rows_replayed"] > 190_000
    assert loss["served"] < loss["static"]


def test_every_row_was_captured_and_counted_or_quarantined(demo: dict[str, Any]) -> None:
    record = LoopRecord.from_json((DEMO / "record.json").read_bytes())
    counted = sum(report["rows"] for report in json.loads((DEMO / "record.json").read_text())["reports"])
    # Rows of the last day are reported on the day after the replay has ended.
    last = record.summary.data.last_day.isoformat()
    before = sum(w["rows"] for w in demo["quality"] if w["window_start"][:10] < last)
    assert counted >= before


def test_the_stacks_were_deployed_completely(demo: dict[str, Any]) -> None:
    assert [(stack["name"], stack["status"]) for stack in demo["stacks"]] == [
        ("driftloop-platform", "CREATE_COMPLETE"),
        ("driftloop-flight-delay", "CREATE_COMPLETE"),
    ]
    assert demo["stacks"][1]["resources"] <= 30


def test_the_times_add_up(demo: dict[str, Any]) -> None:
    times = demo["timings_s"]
    assert set(times) == {"boot", "synth", "deploy", "first_training", "replay", "total"}
    assert 0 < sum(times[name] for name in ("deploy", "first_training", "replay")) <= times["total"]


def test_nothing_stays_behind(demo: dict[str, Any]) -> None:
    assert not (DEMO / "twin").exists()
    running = subprocess.run(["pgrep", "-f", str(DEMO)], capture_output=True, text=True, check=False).stdout
    assert running == ""
