"""Streams and model files as the benchmark reads them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from benchmarks.detection.generated import START, WORLDS, generate
from benchmarks.detection.sources import UsageError, default_spec, read_source
from benchmarks.detection.stream import read_spec, shuffled
from driftloop.data.windows import Window
from driftloop.spec.loading import SpecError
from tests.unit.benchmarks.detection_streams import DAYS, ROWS, small_stream


def test_rows_of_a_window_are_those_of_its_time() -> None:
    stream = small_stream()
    window = Window(START + timedelta(days=3), START + timedelta(days=4))
    rows = stream.rows(window)
    times = stream.times[rows]
    assert 0 < len(times) < len(stream)
    assert times.min() >= np.datetime64("2025-01-04")
    assert times.max() < np.datetime64("2025-01-05")
    assert stream.times[rows.start - 1] < np.datetime64("2025-01-04")


def test_windows_go_on_to_the_last_row() -> None:
    stream = small_stream()
    windows = list(stream.windows(stream.start))
    assert windows[0].start == START
    assert len(windows) == DAYS
    assert sum(stream.rows(w).stop - stream.rows(w).start for w in windows) == DAYS * ROWS


def test_shuffling_keeps_rows_together_and_times_in_place() -> None:
    stream = small_stream()
    other = shuffled(stream, 5)
    assert (other.times == stream.times).all()
    assert (other.columns["usage"] != stream.columns["usage"]).any()
    pairs = [
        sorted(zip(s.columns["row_id"], s.columns["usage"], s.labels, strict=True), key=str) for s in (stream, other)
    ]
    assert pairs[0] == pairs[1]
    assert (shuffled(stream, 5).columns["usage"] == other.columns["usage"]).all()


def test_the_same_seed_gives_the_same_rows() -> None:
    one, same, other = (generate(WORLDS["gradual"], seed, 5, 20)["usage"].tolist() for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_a_model_file_may_lie_anywhere(tmp_path: Path) -> None:
    path = default_spec("none")
    assert path is not None
    copy = tmp_path / "other.yaml"
    copy.write_text(path.read_text())
    assert read_spec(copy, {}).compiled() == read_spec(path, {}).compiled()


def test_settings_change_the_model_file_and_nothing_else() -> None:
    path = default_spec("flights")
    assert path is not None
    before, after = (read_spec(path, s).compiled() for s in ({}, {"retraining.cooldown": "5d"}))
    assert after["retraining"]["cooldown"] == 5 * 86400
    after["retraining"]["cooldown"] = before["retraining"]["cooldown"]
    assert before == after


def test_a_fault_of_a_model_file_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: some_model\nowner: nobody\n")
    with pytest.raises(SpecError, match=r"mine\.yaml:2: owner"):
        read_spec(path, {})


def test_a_file_needs_a_model_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs --spec"):
        read_source(str(tmp_path / "rows.csv"), None, {}, 0)
