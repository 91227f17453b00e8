"""The command line, from a CSV file to the JSON file, and the peers' protocol."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.detection import catalog, peers
from benchmarks.detection.cli import main
from benchmarks.detection.peers import Peer, PeerError, PeerPolicy, RefusedError, Worker
from benchmarks.detection.replay import replay
from benchmarks.detection.sources import default_spec
from driftloop.data.tables import write_table
from tests.unit.benchmarks.detection_streams import FIRST, MOVED, SETTINGS, small_stream, workshop

NAMES = ["name", "rows", "windows", "alarms", "retrainings", "log_loss", "auc", "accuracy", "delay_windows"]


def _arguments(tmp_path: Path, *more: str) -> list[str]:
    stream = small_stream(MOVED)
    file = tmp_path / "rows.csv"
    file.write_bytes(write_table(stream.schema, stream.columns))
    settings = [part for place, value in SETTINGS.items() for part in ("--set", f"{place}={json.dumps(value)}")]
    spec = str(default_spec("none"))
    return ["--spec", spec, "--data", str(file), "--first", FIRST.isoformat(), "--no-cache", *settings, *more]


def test_any_csv_is_replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "result.json"
    more = ["--policies", "never,driftloop_unlabelled", "--change-points", "2025-02-03", "--null-shuffles", "1"]
    more += ["--null-windows", "5", "--inject", "--trials", "1", "--out", str(out)]
    assert main(_arguments(tmp_path, *more)) == 0
    result: dict[str, Any] = json.loads(out.read_text())
    never, ours = result["policies"]
    assert (never["name"], ours["name"]) == ("never", "driftloop_unlabelled")
    assert set(NAMES) <= never.keys()
    assert (never["retrainings"], never["alarms"], never["delay_windows"], never["changes_missed"]) == (0, 0, None, 1)
    assert ours["delay_windows"] == 1
    assert ours["null_alarm_rate"] <= 0.2
    assert len(result["faults"]) == 9
    assert all(0 <= fault["named_right"] <= fault["trials"] == 1 for fault in result["faults"])
    assert "driftloop" in capsys.readouterr().out


def test_the_end_of_a_name_says_what_versions_learn_from() -> None:
    makers = catalog.Catalog()
    made = [makers.maker(name)() for name in ("periodic_7d", "periodic_7d_fresh", "psi_0.2+gate", "psi_0.2_half_fresh")]
    assert [(policy.name, policy.gated, policy.fresh) for policy in made] == [
        ("periodic_7d", False, False),
        ("periodic_7d", False, True),
        ("psi_0.2", True, False),
        ("psi_0.2_half", False, True),
    ]


def test_a_peer_that_is_not_installed_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "PEERS", {"evidently": Peer("absent", "evidently_drift")})
    out = tmp_path / "result.json"
    assert main(_arguments(tmp_path, "--policies", "evidently,never", "--last", "2025-01-30", "--out", str(out))) == 0
    assert [policy["name"] for policy in json.loads(out.read_text())["policies"]] == ["never"]
    assert "make peers" in capsys.readouterr().err


def test_what_the_user_can_mend_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(_arguments(tmp_path, "--policies", "sometimes")) == 2
    assert main(_arguments(tmp_path, "--policies", "driftloop_fresh")) == 2
    assert main(["--spec", str(default_spec("none")), "--data", str(tmp_path / "absent.csv")]) == 2
    assert main(_arguments(tmp_path, "--first", "2031-01-01")) == 2
    assert main(_arguments(tmp_path, "--policies", "never", "--first", "2025-01-02")) == 2
    text = capsys.readouterr().err
    assert "'sometimes' is not known" in text
    assert "'driftloop_fresh' is not known" in text
    assert "absent.csv" in text
    assert "the stream ends at" in text
    assert "training: 0 rows" in text


def test_a_stream_is_written_as_csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.detection.generated.generate.__defaults__", (3, 5))
    file = tmp_path / "none.csv"
    assert main(["--write", "none", str(file)]) == 0
    lines = file.read_text().splitlines()
    assert lines[0] == "row_id,happened_at,usage,price,tenure,age,region,plan,leaves"
    assert len(lines) == 16


ECHO = """
import json, sys
import numpy as np
for line in sys.stdin:
    request = json.loads(line)
    if "reference" in request:
        print("{}", flush=True)
        continue
    columns = np.load(request["window"])
    value = float(columns["x"].sum())
    print(json.dumps({"error": "too low"} if value < 0 else {"alarm": value > 1, "reason": str(columns["c"][0])}), flush=True)
"""


def test_a_worker_answers_window_by_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "benchmarks" / "detection" / "workers"
    package.mkdir(parents=True)
    (package / "echo.py").write_text(ECHO)
    monkeypatch.setattr(peers, "ROOT", tmp_path)
    monkeypatch.setattr(Peer, "python", Path(sys.executable))
    worker = Worker(Peer("here", "echo"))
    try:
        columns = {"x": np.array([1.0, 2.0]), "c": np.array(["a", ""], dtype=object)}
        assert worker.ask("reference", columns, options={}) == {}
        assert worker.ask("window", columns) == {"alarm": True, "reason": "a"}
        with pytest.raises(RefusedError, match="too low"):
            worker.ask("window", columns | {"x": np.array([-1.0])})
    finally:
        worker.close()


PICKY = """
import json, sys
for line in sys.stdin:
    print(json.dumps({} if "reference" in json.loads(line) else {"error": "no rows like these"}), flush=True)
"""


def test_windows_that_a_peer_refuses_are_counted_and_raise_no_alarm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "benchmarks" / "detection" / "workers"
    package.mkdir(parents=True)
    (package / "picky.py").write_text(PICKY)
    monkeypatch.setattr(peers, "ROOT", tmp_path)
    monkeypatch.setattr(Peer, "python", Path(sys.executable))
    peer = Peer("here", "picky")
    worker = Worker(peer)
    try:
        history = replay(workshop(), PeerPolicy("picky", peer, worker), FIRST)
    finally:
        worker.close()
    assert len(history.refused) == len(history.windows) > 0
    assert "no rows like these" in history.refused[0]
    assert not any(history.alarms)
    assert not history.episodes


def test_a_worker_that_ends_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Peer, "python", Path(sys.executable))
    worker = Worker(Peer("here", "no_such_module"))
    try:
        with pytest.raises(PeerError, match="no_such_module has ended"):
            worker.ask("window", {"x": np.array([1.0])})
    finally:
        worker.close()
