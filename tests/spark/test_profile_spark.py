"""What Spark writes is what one machine writes, to the byte, however the work was split."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from driftloop.aws.captures import S3Captures
from driftloop.aws.objects import S3Objects
from driftloop.data.capture import SCORE
from driftloop.data.schema import Columns, Schema
from driftloop.loop.backfill import Rebuilder, Rebuilt, Task, hour_prefix
from driftloop.monitoring.profile import profile_columns
from infra.packaging import ROOT
from pipelines.steps.partitions import OneModel
from tests.fakes import examples as ex
from tests.spark.conftest import Submit

HOURS = [ex.START + timedelta(hours=number) for number in (0, 7, 30)]
END = ex.START + timedelta(days=2)
MAIN = ROOT / "pipelines" / "steps" / "spark_main.py"
RESULTS = ("shards/", "rows/", "quarantine/")


# Captures


def _upload(s3: Any) -> Rebuilt:
    """Capture objects of three hours, some with faults; how many rows are good and bad."""
    rows = bad = 0
    for number, hour in enumerate(HOURS):
        for part in range(3):
            content = ex.capture(
                ex.traffic(40 + part, start=hour - timedelta(hours=1), days=0.1, seed=10 * number + part)
            )
            rows += 40 + part
            if part == 1:
                content += b"not JSON\n" + ex.record("t,never,north,1", "0.5")
                bad += 2
            s3.put_object(Bucket=ex.LIVE, Key=f"{hour_prefix(ex.BASE, hour)}{part}.jsonl", Body=content)
    s3.put_object(Bucket=ex.LIVE, Key=f"{hour_prefix(ex.BASE, END)}late.jsonl", Body=ex.capture(ex.traffic(5)))
    return Rebuilt(9, rows, bad)


def _take(s3: Any) -> dict[str, bytes]:
    """All results, which are removed."""
    keys = [key for prefix in RESULTS for key in S3Objects(s3).keys(ex.LIVE, prefix)]
    found = {key: S3Objects(s3).read(ex.LIVE, key) for key in keys}
    for key in found:
        s3.delete_object(Bucket=ex.LIVE, Key=key)
    return found


def test_shards_rows_and_quarantine_are_those_of_the_function(s3: Any, submit: Submit, spec_dir: Path) -> None:
    expected = _upload(s3)
    done = submit(
        MAIN, "--spec", spec_dir, "--baseline", ex.BASELINE_URI, "--live-bucket", ex.LIVE,
        "--from", ex.START.isoformat(), "--to", END.isoformat(), "--message", spec_dir / "message",
        "--profile", spec_dir / "out",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    receipt = {"model": ex.NAME, "baseline": ex.baseline().id, **vars(expected)}
    assert json.loads((spec_dir / "out" / "rebuilt.json").read_text()) == receipt
    said = f"{expected.rows} rows of {expected.objects} objects, {expected.quarantined} quarantined"
    assert said in done.stdout
    on_spark = _take(s3)

    models = OneModel(json.loads((spec_dir / "4567ef.json").read_text()))
    rebuilder = Rebuilder(models, S3Objects(s3), S3Captures(s3), ex.LIVE)
    alone = sum((rebuilder.rebuild(Task("run", ex.NAME, ex.BASELINE_URI, hour)) for hour in HOURS), Rebuilt())
    assert alone == expected
    by_functions = _take(s3)
    assert {f"{key.split('/')[0]}/" for key in by_functions} == set(RESULTS)
    assert on_spark == by_functions


# Tables


def _rows() -> Columns:
    """Rows with everything that a table may hold."""
    columns = ex.traffic(900, start=ex.START + timedelta(hours=22), days=3, seed=5)
    columns["line"][::50] = ""
    columns["line"][7] = "nowhere"
    columns["delay"][::40] = np.nan
    columns["delay"][3] = 1e9
    return columns


def _plain(columns: Columns) -> list[list[Any]]:
    """Rows as JSON, missing values as null."""
    seconds = columns["departure"].astype("datetime64[s]").astype(int).tolist()
    lines = [line or None for line in columns["line"].tolist()]
    delays = [None if np.isnan(delay) else delay for delay in columns["delay"].tolist()]
    return [list(row) for row in zip(columns["trip"], seconds, lines, delays, columns[SCORE].tolist(), strict=True)]


@pytest.fixture(scope="module")
def results(s3: Any, submit: Submit, spec_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Table -> what became of it, all in one Spark process."""
    folder = tmp_path_factory.mktemp("tables")
    rows = folder / "rows.json"
    rows.write_text(json.dumps(_plain(_rows())))
    done = submit(Path(__file__).with_name("tables.py"), folder, rows, spec_dir, ex.BASELINE_URI)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return found


@pytest.fixture(scope="module")
def alone(spec_dir: Path) -> dict[str, Any]:
    """Profile of the same rows in this process."""
    schema = Schema.from_spec(json.loads((spec_dir / "4567ef.json").read_text()))
    return profile_columns(ex.baseline().bins, _rows(), schema).to_dict()


@pytest.mark.parametrize("table", ["1", "3", "7", "texts"])
def test_profile_of_a_table_does_not_depend_on_its_files(
    results: dict[str, Any], alone: dict[str, Any], table: str
) -> None:
    found = results[table]
    assert found["status"] == 0, found["said"]
    assert found["written"] == {"model": ex.NAME, "baseline": ex.baseline().id, "profile": alone}
    assert f"{alone['rows']} rows" in found["said"]


def test_a_table_may_have_no_score(results: dict[str, Any], alone: dict[str, Any]) -> None:
    profile = results["unscored"]["written"]["profile"]
    assert profile["counts"] == {name: counts for name, counts in alone["counts"].items() if name != SCORE}
    assert sum(profile["probabilities"]) == 0


@pytest.mark.parametrize(
    ("table", "reason"),
    [("narrow", "has no column delay; it has trip, line, score, departure"), ("faulty", "is not a probability")],
)
def test_a_faulty_table_is_refused_with_the_reason(results: dict[str, Any], table: str, reason: str) -> None:
    found = results[table]
    assert (found["status"], found["written"]) == (1, None)
    assert reason in found["said"]


def test_rows_that_were_refused_are_all_told_of(results: dict[str, Any]) -> None:
    north = int((_rows()["line"] == "north").sum())
    assert f": {north} rows cannot be read" in results["faulty"]["said"]


def test_a_range_that_is_no_range_is_refused_before_spark_starts(submit: Submit, spec_dir: Path, s3: Any) -> None:
    done = submit(
        MAIN, "--spec", spec_dir, "--baseline", ex.BASELINE_URI, "--live-bucket", ex.LIVE, "--from", "yesterday",
        "--to", END.isoformat(), "--message", spec_dir / "message",
    )  # fmt: skip
    assert done.returncode == 1
    assert "--from 'yesterday' is not ISO-8601" in (spec_dir / "message").read_text()
