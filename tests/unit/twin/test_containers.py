"""Containers as processes: arguments, environment, folders, time limits and their end."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from driftloop.spec.catalog import TRAINING_IMAGES
from driftloop.twin import containers
from driftloop.twin.containers import Container, check_image, host, kill_all
from driftloop.twin.errors import ApiError


@pytest.fixture(autouse=True, scope="module")
def _hosted() -> Iterator[None]:
    """All of them are forked from one process, which is ended at last."""
    yield
    kill_all()
    host.cache_clear()


def start(root: Path, script: str, *arguments: str, log: str = "log", **environment: str) -> Container:
    program = root / f"{log}.py"
    program.write_text(script)
    return Container(root, ["python3", f"/opt/ml/{program.name}", *arguments], environment, root / log)


def run(root: Path, script: str, *arguments: str, **environment: str) -> tuple[int, str]:
    container = start(root, script, *arguments, **environment)
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
    container = start(tmp_path, script)
    assert container.wait(1.5) == -9
    assert time.monotonic() - begun < 10
    assert wait_gone(int((tmp_path / "log").read_text()))


def test_killing_twice_is_harmless_and_kill_all_ends_the_rest(tmp_path: Path) -> None:
    first, second = (start(tmp_path, "import time; time.sleep(60)", log=f"log{i}") for i in range(2))
    first.kill()
    assert first.wait(5) == -9
    first.kill()
    kill_all()
    assert wait_gone(second.pid)
    host.cache_clear()
    assert run(tmp_path, "print(1)") == (0, "1\n"), "the next one gets a new host"


def test_the_tail_is_the_end_of_its_output(tmp_path: Path) -> None:
    container = start(tmp_path, "for i in range(50): print('line', i)")
    container.wait(20)
    assert container.tail().splitlines()[-1] == "line 49"
    assert len(container.tail().splitlines()) < 20


@pytest.mark.parametrize(
    "entry", [["bash", "run.sh"], ["python3"], ["python3", "-c", "print(1)"], ["python3", "-m", "module"]]
)
def test_only_python_programs_can_be_run(tmp_path: Path, entry: list[str]) -> None:
    with pytest.raises(ApiError, match="the entry point"):
        Container(tmp_path, entry, {}, tmp_path / "log")


def test_a_program_that_does_not_exist_fails_and_says_so(tmp_path: Path) -> None:
    container = Container(tmp_path, ["python3", "/opt/ml/absent.py"], {}, tmp_path / "log")
    assert container.wait(20) == 1
    assert "absent.py" in container.tail()


def test_a_program_finds_the_modules_beside_it_and_a_zip_those_in_it(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("WORD = 'beside'")
    assert run(tmp_path, "import beside; print(beside.WORD)") == (0, "beside\n")
    with zipfile.ZipFile(tmp_path / "steps.zip", "w") as archive:
        archive.writestr("__main__.py", "import inside, sys; print(inside.WORD, sys.argv[1:])")
        archive.writestr("inside.py", "WORD = 'inside'")
    container = Container(tmp_path, ["python3", "/opt/ml/steps.zip", "go"], {}, tmp_path / "log")
    assert (container.wait(20), container.tail()) == (0, "inside ['go']")


@pytest.mark.parametrize(
    ("script", "status", "said"),
    [
        ("raise LookupError('enough')", 1, "LookupError: enough"),
        ("import sys; sys.exit('enough')", 1, "enough"),
        ("import sys; sys.exit(7)", 7, ""),
        ("import sys; sys.exit()", 0, ""),
        ("import os; os.abort()", -6, ""),
        ("x = (", 1, "SyntaxError"),
    ],
)
def test_every_end_has_its_status(tmp_path: Path, script: str, status: int, said: str) -> None:
    ended, log = run(tmp_path, script)
    assert ended == status
    assert said in log


def test_one_leaves_nothing_behind_for_the_next(tmp_path: Path) -> None:
    run(tmp_path, "import os, sys, json; os.environ['LEFT'] = '1'; json.left = 1; sys.path.append('left')")
    _, said = run(
        tmp_path, "import os, sys, json; print('LEFT' in os.environ, hasattr(json, 'left'), 'left' in sys.path)"
    )
    assert said == "False False False\n"


def test_what_a_container_leaves_running_ends_with_it(tmp_path: Path) -> None:
    script = "import subprocess; print(subprocess.Popen(['sleep', '60']).pid)"
    status, said = run(tmp_path, script)
    assert status == 0
    assert wait_gone(int(said))


def test_many_at_once(tmp_path: Path) -> None:
    containers = [start(tmp_path, "import sys; sys.exit(int(sys.argv[1]))", str(i), log=f"log{i}") for i in range(12)]
    assert [container.wait(20) for container in containers] == list(range(12))


def test_containers_end_when_whoever_started_their_host_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys, time, pathlib\n"
        "from driftloop.twin.containers import Container\n"
        "root = pathlib.Path(sys.argv[1])\n"
        "(root / 'main.py').write_text('import time; time.sleep(60)')\n"
        "print(Container(root, ['python3', '/opt/ml/main.py'], {}, root / 'log').pid, flush=True)\n"
        "time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    ) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.kill()
    assert wait_gone(pid)


def test_only_the_image_that_this_environment_equals_is_accepted() -> None:
    registry = "683313688378.dkr.ecr.us-east-1.amazonaws.com"
    for repository, tag in TRAINING_IMAGES.values():
        check_image(f"{registry}/{repository}:{tag}")
    for image in (
        "sagemaker-scikit-learn:1.2-1-cpu-py3", "sagemaker-scikit-learn", "", "sagemaker-xgboost:1.9-0",
        "sagemaker-xgboost:3.20-0", "sagemaker-xgboost", "my-sagemaker-xgboost:3.2-0",
    ):  # fmt: skip
        with pytest.raises(ApiError, match=r"scikit-learn:1\.9-\* and sagemaker-xgboost:3\.2-\*"):
            check_image(f"{registry}/{image}")


def test_without_xgboost_its_image_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(containers._LIBRARIES, "sagemaker-xgboost", ("no-such-distribution",))
    with pytest.raises(ApiError, match=r"it runs sagemaker-scikit-learn:1\.9-\* as local"):
        check_image("683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.2-0")


def test_standard_input_is_empty(tmp_path: Path) -> None:
    assert run(tmp_path, "import sys; print(repr(sys.stdin.read()))") == (0, "''\n")
