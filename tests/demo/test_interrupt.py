"""Ctrl-C in the middle: everything that the demo started is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 180


def _running(folder: Path) -> list[str]:
    """Processes that name the folder."""
    found = subprocess.run(["pgrep", "-af", str(folder)], capture_output=True, text=True, check=False).stdout
    return found.splitlines()


def test_ctrl_c_ends_everything(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    log = (tmp_path / "log").open("w+")
    demo = subprocess.Popen(
        [sys.executable, "-m", "driftloop", "demo", "--out", str(out)],
        cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        env={key: value for key, value in os.environ.items() if not key.startswith("AWS_")},
    )  # fmt: skip
    deadline = time.monotonic() + PATIENCE_SECONDS
    said = ""
    while "train the first version" not in said and demo.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
        said = (tmp_path / "log").read_text()
    assert "train the first version" in said, said
    time.sleep(2)
    assert len(_running(out)) > 2
    demo.send_signal(signal.SIGINT)
    assert demo.wait(60) == 130
    log.close()
    assert "interrupted" in (tmp_path / "log").read_text()
    deadline = time.monotonic() + 10
    while _running(out) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert _running(out) == []
