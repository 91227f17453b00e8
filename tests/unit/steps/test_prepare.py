from __future__ import annotations

import json

import numpy as np
import pytest

from driftloop.data.capture import SCORE
from driftloop.data.rows import by_date, select, write_rows
from driftloop.data.tables import read_table, write_table
from pipelines.steps import prepare
from tests.unit.steps.cloud import Cloud
from tests.unit.steps.examples import (
    CURATED,
    HOLDOUT_END,
    LIVE,
    NAME,
    PER_DAY,
    SCHEMA,
    WINDOWS,
    compiled,
    day,
    rows,
)


@pytest.fixture
def cloud(server: str) -> Cloud:
    """Each test imports its own rows."""
    return Cloud(server)


@pytest.fixture
def prepared(aws, spec_dir, tmp_path):
    """Run the step; its exit status and folder."""

    def run(folder="run", spec=spec_dir):
        place = tmp_path / folder
        arguments = ["--spec", spec, "--live-bucket", LIVE, "--curated-bucket", CURATED, *WINDOWS]
        outputs = [part for name in ("training", "holdout", "manifest") for part in (f"--{name}", place / name)]
        status = prepare.main(
            [str(a) for a in (*arguments, "--holdout-end", HOLDOUT_END, *outputs, "--message", place / "message")]
        )
        return status, place

    return run


def _import(cloud, table):
    for date, part in by_date(table, SCHEMA.time).items():
        cloud.put(CURATED, f"history/{NAME}/{date}.csv", write_table(SCHEMA, part))


def _live(cloud, key, source, part):
    scored = part | {SCORE: np.full(len(part[SCHEMA.id]), 0.5)}
    cloud.put(LIVE, key, write_rows(SCHEMA, {source: scored}, label=True))


def _read(place, name="training"):
    return read_table(SCHEMA, (place / name / "rows.csv").read_bytes())


def test_live_rows_win_over_history_and_nothing_counts_twice(aws, prepared):
    table = rows(days=3)
    _import(aws, table)
    second = select(table, slice(PER_DAY, 2 * PER_DAY))
    live = second | {"cars": np.full(PER_DAY, 17.0)}
    # The same label object in two bundles, as a redelivery writes them.
    _live(aws, f"labelled/{NAME}/{day(1)}/aa.csv", "labels-1", live)
    _live(aws, f"labelled/{NAME}/{day(1)}/bb.csv", "labels-1", live)
    status, place = prepared()
    columns = _read(place)
    assert status == 0
    assert len(columns["trip"]) == len(set(columns["trip"].tolist())) == 3 * PER_DAY
    np.testing.assert_array_equal(
        columns["cars"] == 17, columns["departure"].astype("datetime64[D]") == np.datetime64(day(1))
    )


def test_only_rows_inside_the_windows_are_promoted(aws, prepared):
    _import(aws, rows(first_day=-2, days=30))
    status, place = prepared()
    assert status == 0
    assert (len(_read(place)["trip"]), len(_read(place, "holdout")["trip"])) == (16 * PER_DAY, 4 * PER_DAY)
    listed = json.loads((place / "manifest" / "manifest.json").read_text())["sources"]
    assert [source["key"] for source in listed] == [f"history/{NAME}/{day(number)}.csv" for number in range(20)]


def test_same_sources_give_the_same_bytes(aws, prepared):
    _import(aws, rows(days=2))
    (_, one), (_, two) = prepared("one"), prepared("two")
    for name in ("training/rows.csv", "holdout/rows.csv", "manifest/manifest.json"):
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_other_rows_give_other_hashes_of_the_same_id(aws, prepared):
    _import(aws, rows(days=1))
    _, one = prepared("one")
    aws.put(CURATED, f"history/{NAME}/{day(1)}.csv", write_table(SCHEMA, rows(first_day=1, days=1)))
    _, two = prepared("two")
    assert not set(_read(one)["trip"].tolist()) & set(_read(two)["trip"].tolist())


def test_the_manifest_depends_on_the_order_of_the_payload(aws, prepared, tmp_path):
    spec = compiled()
    spec["data"]["features"] = dict(sorted(spec["data"]["features"].items()))
    (tmp_path / "sorted.json").write_text(json.dumps(spec))
    (_, one), (_, two) = prepared("one"), prepared("two", spec=tmp_path / "sorted.json")
    manifests = [json.loads((place / "manifest" / "manifest.json").read_text()) for place in (one, two)]
    assert manifests[0]["spec_sha256"] != manifests[1]["spec_sha256"]


@pytest.mark.parametrize(
    ("key", "content", "reason"),
    [
        (f"history/{NAME}/{day(1)}.csv", b"trip,departure\n", "missing ['cars', 'delay', 'late', 'line']"),
        (f"history/{NAME}/{day(1)}.csv", b"trip,departure,cars,delay,line,late\n", "the order differs"),
        (f"history/{NAME}/{day(1)}.csv", b"\xff\xfe", "UTF-8"),
        (
            f"history/{NAME}/{day(1)}.csv",
            b"trip,departure,line,delay,cars,late\na,2026-03-03T00:00:00Z,x,1,2,yes\n\nb,soon,x,1,2,1\nc\n",
            "line 2: label 'yes' is not 0 or 1; line 4: time 'soon' is not ISO-8601; line 5: has 1 cells where the header has 6",
        ),
        (f"labelled/{NAME}/{day(1)}/aa.csv", b"a,b\n1,2\n", "header differs"),
        (
            f"labelled/{NAME}/{day(1)}/aa.csv",
            b"object,trip,departure,line,delay,cars,score,late\no,a,2026-03-03T00:00:00Z,x,1,2,high,1\n",
            "not a whole file of rows: could not convert",
        ),
    ],
)
def test_a_source_that_cannot_be_read_is_named(aws, prepared, capsys, key, content, reason):
    bucket = CURATED if key.startswith("history") else LIVE
    aws.put(bucket, key, content)
    status, place = prepared()
    assert status == 1
    message = (place / "message").read_text()
    assert message.startswith(f"s3://{bucket}/{key} cannot be read: ")
    assert reason in message
    assert message in capsys.readouterr().err


def test_no_rows_at_all_is_left_to_validation(prepared):
    status, place = prepared()
    assert status == 0
    assert len(_read(place)["trip"]) == 0


def test_windows_in_the_wrong_order(aws, spec_dir, tmp_path, capsys):
    arguments = ["--spec", str(spec_dir), "--live-bucket", LIVE, "--curated-bucket", CURATED]
    windows = ["--window-start", HOLDOUT_END, "--window-end", WINDOWS[1], "--holdout-end", HOLDOUT_END]
    assert prepare.main([*arguments, *windows, "--message", str(tmp_path / "message")]) == 1
    assert "the training window" in capsys.readouterr().err
