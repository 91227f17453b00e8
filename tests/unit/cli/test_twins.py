"""What can be refused without a twin; the rest is tried on a real one in tests/integration."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from driftloop.cli import twins
from driftloop.twin.lifecycle import Twin

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


def left_behind(folder: Path, name: str) -> Path:
    """What a twin leaves that was killed."""
    place = folder / name / "kept"
    place.mkdir(parents=True)
    (place / "state").write_bytes(b"")
    (place / "port").write_text("4566")
    return place.parent


def test_down_removes_what_a_killed_twin_has_left(run: Run, folder: Path) -> None:
    place = left_behind(folder, "gone")
    told = run("down", "--name", "gone")
    assert (told.exit_code, place.exists()) == (0, False)
    assert "twin gone had been killed" in told.output


@pytest.mark.parametrize("command", [["env"], ["down", "--destroy"], ["deploy"], ["clock", "2026-03-01"]])
def test_a_killed_twin_must_be_started_before_it_is_used(run: Run, folder: Path, command: list[str]) -> None:
    place = left_behind(folder, "gone")
    assert "`driftloop up --name gone`" in refusal(run(*command, "--name", "gone"))
    assert place.exists()


@pytest.mark.parametrize("more", [["--start", "2026-01-01"], ["--port", "5000"], ["--no-keep"]])
def test_a_killed_twin_is_not_begun_anew(run: Run, folder: Path, more: list[str]) -> None:
    place = left_behind(folder, "gone")
    assert "`driftloop down" in refusal(run("up", "--name", "gone", *more))
    assert place.exists()


def test_up_says_from_when_a_killed_twin_goes_on(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twin = Twin(left_behind(folder, "gone"), 0, "http://127.0.0.1:4566", "", "", "", "")
    monkeypatch.setattr(twins.lifecycle, "start", lambda *_, **__: twin)
    monkeypatch.setattr(Twin, "door", lambda *_: {"now": "2013-03-05T12:00:00Z"})
    told = run("up", "--name", "gone")
    assert "it goes on from 2013-03-05T12:00:00Z" in told.stderr
    assert "it goes on" not in told.stdout
    assert "export AWS_ENDPOINT_URL=http://127.0.0.1:4566" in told.stdout
