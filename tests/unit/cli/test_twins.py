"""What can be refused without a twin; the rest is tried on a real one in tests/integration."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from driftloop.cli import twins

from .conftest import Run, refusal


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(twins, "TWINS", tmp_path / "twins")
    return tmp_path / "twins"


@pytest.mark.parametrize("command", [["env"], ["down"], ["down", "--destroy"], ["deploy"], ["clock", "2026-03-01"]])
def test_without_a_twin_there_is_a_hint(run: Run, command: list[str]) -> None:
    assert "`driftloop up --name gone`" in refusal(run(*command, "--name", "gone"))


@pytest.mark.parametrize("name", ["..", "../..", "a/b", "", "/tmp", ".hidden", "-x", "ä", "a" * 65])  # noqa: S108
@pytest.mark.parametrize("command", ["up", "down"])
def test_name_cannot_lead_to_another_folder(run: Run, command: str, name: str) -> None:
    assert "letters, digits" in refusal(run(command, f"--name={name}"))


def test_taken_port_is_refused_before_anything_starts(run: Run, folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"port {port} cannot be used" in refusal(run("up", "--port", port))
    assert not folder.exists()
