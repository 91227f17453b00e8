"""What time it is where the models live."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from driftloop.cli.cloud import Cloud

STATUS = '{"now": "2013-03-01T06:00:00Z", "running": 0}'


class Twin(BaseHTTPRequestHandler):
    """Answers with its class's text."""

    text = STATUS

    def do_POST(self) -> None:
        found = self.path == "/_driftloop/status"
        self.send_response(200 if found else 404)
        self.end_headers()
        self.wfile.write(self.text.encode() if found else b"")

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HTTPServer]:
    with HTTPServer(("127.0.0.1", 0), Twin) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        yield server
        server.shutdown()
        thread.join()


def is_now(moment: datetime) -> bool:
    return abs(datetime.now(UTC) - moment) < timedelta(minutes=1)


def test_a_twin_has_a_time_of_its_own(server: HTTPServer) -> None:
    assert Cloud.of_environment().now() == datetime(2013, 3, 1, 6, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "<html>", "[]", "{}", '{"now": "soon"}', '{"now": 7}'])
def test_other_emulators_have_the_machines(server: HTTPServer, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(Twin, "text", text)
    assert is_now(Cloud.of_environment().now())


def test_so_has_aws_and_what_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_now(Cloud.of_environment().now())
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert is_now(Cloud.of_environment().now())
