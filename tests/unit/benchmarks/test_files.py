"""The benchmark of files writes what the endpoint takes, and sees what a process has needed."""

from __future__ import annotations

import csv
import subprocess
import sys
import time

from benchmarks import files
from driftloop.data.parsing import parse_row
from driftloop.data.schema import Schema
from driftloop.spec import load_model


def test_a_file_has_the_rows_that_were_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "CHUNK", 2000)
    spec, path = load_model(files.SPEC), tmp_path / "rows.csv"
    files._write(spec, 4500, path)
    with path.open(newline="") as file:
        rows = [parse_row(Schema.from_spec(spec.compiled()), row) for row in csv.reader(file)]
    assert len({row[0] for row in rows}) == len(rows) == 4500


def test_the_memory_of_processes_that_start_meanwhile_is_seen(tmp_path):
    script = tmp_path / "holder.py"
    script.write_text("import sys; held = b'x' * (200 << 20); print('held', flush=True); del held; sys.stdin.read()")

    def start() -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdout
        process.stdout.readline()
        return process

    before = start()
    try:
        with files.Peak.of(script.name, tmp_path) as peak:
            time.sleep(5 * files.GLANCE)
            assert peak.bytes == 0
            held = start()
            while not peak.bytes > 200 << 20:
                time.sleep(files.GLANCE)
            held.kill()
            held.communicate()
    finally:
        before.kill()
        before.communicate()
