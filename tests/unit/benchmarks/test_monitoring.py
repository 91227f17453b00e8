"""The comparison itself, on tiny files: what is measured, and what is said of tools that cannot be."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import monitoring
from benchmarks.monitoring_peers import tools
from benchmarks.monitoring_peers.data import CATEGORIES, NUMBERS, SHIFTED, make_reference, write_capture
from benchmarks.monitoring_peers.tools import TOOLS, Tool, ToolError

BY_NAME = {tool.name: tool for tool in TOOLS}


def run(folder: Path, *options: str) -> dict[str, dict]:
    out = folder / "out" / "result.json"
    usual = ["--rows", "600", "--reference-rows", "4000", "--repeat", "1", "--no-sizes", "--folder", str(folder)]
    assert monitoring.main([*usual, "--out", str(out), *options]) == 0
    return {entry["name"]: entry for entry in json.loads(out.read_text())["runs"]}


def test_a_report_is_timed_beside_the_plain_read_and_names_what_moved(tmp_path, capsys) -> None:
    entries = run(tmp_path, "--tools", "driftloop,read_floor")
    ours, floor = entries["driftloop"], entries["read_floor"]
    assert ours["rows"] == 600
    assert ours["seconds"] > floor["seconds"] > 0
    assert ours["cpu_seconds"] > floor["cpu_seconds"] >= 0
    assert ours["peak_mb"] > floor["peak_mb"] > 1
    assert ours["found"] == len(SHIFTED)
    assert ours["flagged"] == len(SHIFTED)
    report = json.loads((tmp_path / "driftloop" / "report.json").read_text())
    assert report["verdict"] == "shifted"
    assert report["rows"] == 600
    assert "600 rows" in capsys.readouterr().out


def test_scipy_finds_what_moved(tmp_path) -> None:
    if not BY_NAME["scipy_ks"].installed:
        pytest.skip("needs make peers")
    assert run(tmp_path, "--tools", "scipy_ks")["scipy_ks"]["found"] == len(SHIFTED)


def test_a_tool_that_is_too_slow_is_stopped_and_named(tmp_path, capsys) -> None:
    entry = run(tmp_path, "--tools", "driftloop", "--limit", "0.01")["driftloop"]
    assert entry["seconds"] is None
    assert entry["flagged"] is None
    assert entry["note"] == "> 0.01 s"
    assert "> 0.01 s" in capsys.readouterr().out


def test_a_tool_that_is_not_installed_is_left_out_aloud(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(
        monitoring, "TOOLS", (Tool("absent", "nothing", "import nothing", "absent"), BY_NAME["read_floor"])
    )
    assert set(run(tmp_path, "--tools", "absent,read_floor")) == {"read_floor"}
    assert "absent is left out: it is not installed; `make peers`" in capsys.readouterr().out


def test_an_unknown_tool_is_refused(capsys) -> None:
    with pytest.raises(SystemExit):
        monitoring.main(["--tools", "evidentli"])
    assert "unknown tools ['evidentli']" in capsys.readouterr().err


def test_a_failing_tool_says_why(tmp_path) -> None:
    with pytest.raises(ToolError, match="No such file"):
        BY_NAME["read_floor"].report(tmp_path / "absent.jsonl", tmp_path, 60)


def test_slow_tools_are_not_repeated() -> None:
    runs = monitoring.Runs(BY_NAME["read_floor"], 1)
    assert runs.wanted
    runs.measured.append({"seconds": monitoring.SLOW + 1, "peak_mb": 1.0, "flagged": []})
    assert not runs.wanted


def test_the_size_is_that_of_what_is_shipped(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tools, "ENVIRONMENTS", tmp_path)
    packages = tmp_path / "peer" / "lib" / "python3.11" / "site-packages"
    for path, size in (
        ("peer/a.py", 1_000_000),
        ("peer/__pycache__/a.pyc", 5_000_000),
        ("single.py", 500_000),
        ("pip/b.py", 7_000_000),
        ("setuptools-80.dist-info/RECORD", 7_000_000),
    ):
        file = packages / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(size))
    assert Tool("peer", "peer", "import peer", "peer").unpacked_mb() == pytest.approx(1.5)


def test_five_features_moved_and_no_other(tmp_path) -> None:
    before, after = make_reference(20_000, 3), _captured(tmp_path / "capture.jsonl", 20_000, 3)
    for place, name in enumerate(NUMBERS, start=2):
        values = np.array([float(cells[place] or "nan") for cells in after])
        moved = (np.nanmean(values) - np.nanmean(before[name])) / np.nanstd(before[name])
        assert (moved > 0.4) == (name in SHIFTED), (name, moved)
        assert abs(moved) < 0.06 or name in SHIFTED, (name, moved)
    for place, name in enumerate(CATEGORIES, start=2 + len(NUMBERS)):
        first = sum(cells[place] == f"{name}_00" for cells in after) / len(after)
        assert (abs(first - (before[name] == f"{name}_00").mean()) > 0.1) == (name in SHIFTED), name


def test_files_depend_on_the_seed_alone(tmp_path) -> None:
    paths = [tmp_path / str(number) for number in range(3)]
    for path, seed in zip(paths, (1, 1, 2), strict=True):
        write_capture(path, 50, seed)
    same, again, other = (path.read_bytes() for path in paths)
    assert same == again
    assert same != other
    assert same.count(b"\n") == 50


def _captured(path: Path, count: int, seed: int) -> list[list[str]]:
    write_capture(path, count, seed)
    records = [json.loads(line) for line in path.read_text().splitlines()]
    return [record["captureData"]["endpointInput"]["data"].split(",") for record in records]
