"""What is written into MLflow when a run is seen again and again while it changes."""

from __future__ import annotations

import json
import sqlite3
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest

from driftloop.cli import tracking

BASE: dict[str, Any] = {
    "execution": "abc", "name": "one", "start": 1_000, "end": None, "status": "RUNNING", "params": {}, "metrics": {},
    "tags": {"driftloop.serves": "yes"}, "datasets": [], "artifacts": {}, "inputs": [], "version": None,
}  # fmt: skip
VERSION = {"arn": "arn:7", "number": 7, "source": "s3://bucket/model.tar.gz", "approval": "Approved", "serves": True}
PARAMS = {"hyperparameters.a+b": "1", "training.end": "2026-01-01", "long": "x" * 7000}
ENDED = {
    **BASE, "end": 2_000, "status": "FINISHED", "name": "two", "params": PARAMS, "metrics": {"loss": 0.5}, "version": VERSION,
}  # fmt: skip
GONE = {**ENDED, "tags": {}, "params": {**PARAMS, "training.end": "later"}, "version": {**VERSION, "serves": False}}
ROWS = {"name": "x", "source": "x", "window": "x", "digest": "too long" * 9, "context": "training", "rows": 1}
REFUSED = {**BASE, "execution": "def", "datasets": [ROWS]}
PARAMS_READ = "select key, substr(value, 1, 20) from params join runs using (run_uuid) where runs.name = 'two'"
TAGS_READ = "select key, value from tags join runs using (run_uuid) where runs.name = 'two'"


def test_a_run_that_changes_is_brought_up_to_date(tmp_path: Path) -> None:
    # Starting MLflow takes most of the time, so all calls are made in one.
    calls = [[BASE], [BASE], [ENDED], [REFUSED, GONE]]
    lines = "".join(json.dumps({"name": "model", "runs": runs}) + "\n" for runs in calls)
    done = tracking._store(f"sqlite:///{tmp_path}/mlflow.db", tmp_path / "artifacts", lines)
    assert done == {"created": 1, "updated": 2, "unchanged": 1, "refused": 1}
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        ask = database.execute
        assert ask("select status, end_time from runs where name = 'two'").fetchall() == [("FINISHED", 2_000)]
        params = {"hyperparameters.a_b": "1", "training.end": "2026-01-01", "long": "x" * 20}
        assert dict(ask(PARAMS_READ).fetchall()) == params
        assert "driftloop.serves" not in dict(ask(TAGS_READ).fetchall())
        assert ask("select alias from registered_model_aliases").fetchall() == []


APP = "arn:aws:sagemaker:eu-central-1:111122223333:mlflow-app/app-ABC"


class Server(BaseHTTPRequestHandler):
    """Stands where SageMaker's app does: it knows every experiment, and no runs or versions."""

    seen: ClassVar[list[tuple[str, str]]] = []

    def do_GET(self) -> None:
        self.seen.append((self.headers["x-sm-mlflow-app-arn"], self.headers["Authorization"]))
        answer = {"experiment": {"experiment_id": "1", "name": "model", "lifecycle_stage": "active"}}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(answer if "get-by-name" in self.path else {}).encode())

    def log_message(self, *_: object) -> None:
        """Silent."""


def test_every_request_to_sagemakers_app_names_it_and_is_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    with HTTPServer(("127.0.0.1", 0), Server) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        done = tracking._store(APP, None, json.dumps({"name": "model", "runs": []}) + "\n")
        server.shutdown()
        thread.join()
    assert done == {"created": 0, "updated": 0, "unchanged": 0}
    assert {arn for arn, _ in Server.seen} == {APP}
    assert len(Server.seen) == 2
    assert all("/eu-central-1/sagemaker/aws4_request" in signed for _, signed in Server.seen)
