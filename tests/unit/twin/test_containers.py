"""Containers as processes: arguments, environment, folders, time limits and their end."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from driftloop.twin.containers import Container, check_image, kill_all
from driftloop.twin.errors import ApiError


def run(root: Path, script: str, *arguments: str, **environment: str) -> tuple[int, str]:
    container = Container(root, ["python3", "-c", script, *arguments], environment, root / "log")
    return container.wait(20), (root / "log").read_text()


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_gone(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


def test_it_runs_with_this_interpreter_and_gives_its_exit_status(tmp_path: Path) -> None:
    assert run(tmp_path, "import sys; print(sys.executable); sys.exit(3)") == (3, f"{sys.executable}\n")


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ("/opt/ml", "{root}"),
        ("/opt/ml/input/data", "{root}/input/data"),
        ("--model=/opt/ml/model", "--model={root}/model"),
        ("/opt/ml/a:/opt/ml/b", "{root}/a:{root}/b"),
        ("/opt/ml,/opt/ml", "{root},{root}"),
        ("/opt/mlflow", "/opt/mlflow"),
        ("/opt/ml.txt", "/opt/ml.txt"),
        ("s3://bucket/opt/ml/model", "s3://bucket/opt/ml/model"),
        ("/srv/opt/ml/x", "/srv/opt/ml/x"),
    ],
)
def test_paths_of_the_container_become_paths_of_its_folder(tmp_path: Path, given: str, seen: str) -> None:
    status, said = run(
        tmp_path, "import os, sys; print(sys.argv[1], os.environ['PLACE'])", given, PLACE=given
    )  # fmt: skip
    expected = seen.format(root=tmp_path)
    assert (status, said) == (0, f"{expected} {expected}\n")


def test_nothing_of_the_developers_environment_leaks_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "mine")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    _, said = run(tmp_path, "import os; print(sorted(os.environ), os.environ['HOME'], os.getcwd())", EXTRA="1")
    assert "AWS" not in said
    assert "PYTHONPATH" not in said
    assert "EXTRA" in said
    assert said.strip().endswith(f"{tmp_path} {tmp_path}")


def test_one_that_outlives_its_time_is_killed_with_what_it_started(tmp_path: Path) -> None:
    script = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid); time.sleep(60)"
    )
    begun = time.monotonic()
    container = Container(tmp_path, ["python3", "-c", script], {}, tmp_path / "log")
    assert container.wait(1.5) == -9
    assert time.monotonic() - begun < 10
    assert wait_gone(int((tmp_path / "log").read_text()))


def test_killing_twice_is_harmless_and_kill_all_ends_the_rest(tmp_path: Path) -> None:
    sleeper = ["python3", "-c", "import time; time.sleep(60)"]
    first, second = (Container(tmp_path, sleeper, {}, tmp_path / f"log{i}") for i in range(2))
    first.kill()
    assert first.wait(5) == -9
    first.kill()
    kill_all()
    assert second.wait(5) == -9


def test_the_tail_is_the_end_of_its_output(tmp_path: Path) -> None:
    container = Container(tmp_path, ["python3", "-c", "for i in range(50): print('line', i)"], {}, tmp_path / "log")
    container.wait(20)
    assert container.tail().splitlines()[-1] == "line 49"
    assert len(container.tail().splitlines()) < 20


def test_an_entry_point_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        Container(tmp_path, ["no-such-program"], {}, tmp_path / "log")


def test_only_the_image_that_this_environment_equals_is_accepted() -> None:
    registry = "683313688378.dkr.ecr.us-east-1.amazonaws.com"
    check_image(f"{registry}/sagemaker-scikit-learn:1.9-0-cpu-py3")
    for image in ("sagemaker-scikit-learn:1.2-1-cpu-py3", "sagemaker-xgboost:1.9-0", "sagemaker-scikit-learn", ""):
        with pytest.raises(ApiError, match="does not support the image"):
            check_image(f"{registry}/{image}")


def test_standard_input_is_empty(tmp_path: Path) -> None:
    assert run(tmp_path, "import sys; print(repr(sys.stdin.read()))") == (0, "''\n")
