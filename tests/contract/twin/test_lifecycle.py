"""Starting, finding and ending twins: nothing of theirs is left, and nothing else is touched."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from driftloop.twin import lifecycle
from driftloop.twin.lifecycle import Twin, TwinError

from .cloud import Cloud, until
from .test_endpoints import Endpoint
from .work import processing, put_code, s3_role

SLEEPER = "import time; print('sleeping', flush=True); time.sleep(120)"
WARM = """
import time
def handler(event, context):
    time.sleep(event or 0)
"""


def family(pid: int) -> set[int]:
    """Process ids of a process's descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        new = children.get(waiting.pop(), [])
        found.update(new)
        waiting.extend(new)
    return found


def alive(pids: set[int]) -> dict[int, str]:
    """Those that still run, with their command line."""
    found = {}
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            command = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
            # A process that is on its way out has given its memory back, its command line included.
            if state != "Z" and command:
                found[pid] = command
        except OSError:
            continue
    return found


def busy(cloud: Cloud) -> set[int]:
    """Make a twin start one process of every kind; ids of all of them."""
    Endpoint(cloud)
    function = cloud.function(WARM, Timeout=300)
    cloud.invoke(function)
    bucket = cloud.bucket()
    code, role = put_code(cloud, bucket, SLEEPER), s3_role(cloud, bucket)
    name = cloud.name("processing")
    cloud.client("sagemaker").create_processing_job(ProcessingJobName=name, **processing(role, code))
    log = cloud.twin.folder / "jobs" / f"{name}.log"
    until(lambda: log.exists() and "sleeping" in log.read_text())
    commands = alive(family(cloud.twin.pid))
    for kind in ("model_server.py", "lambda_worker.py", "container_host.py"):
        assert any(kind in command for command in commands.values()), (kind, commands)
    return {cloud.twin.pid, *commands}


@pytest.fixture
def twin(tmp_path: Path) -> Iterator[Twin]:
    started = lifecycle.start(tmp_path / "twin", attached=True)
    yield started
    started.stop()


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twin]:
    """A second twin beside the shared one."""
    started = lifecycle.start(tmp_path_factory.mktemp("other") / "twin", attached=True)
    yield started
    started.stop()


def test_stop_ends_everything_that_it_started_and_nothing_else(twin: Twin, cloud: Cloud) -> None:
    pids = busy(Cloud(twin))
    assert len(pids) >= 5
    begun = time.monotonic()
    twin.stop()
    assert time.monotonic() - begun < 10
    until(lambda: not alive(pids), 5)
    assert not twin.folder.exists()
    assert not Path(f"/proc/{twin.pid}").exists(), "not even as a zombie"
    assert Twin.find(twin.folder) is None
    assert cloud.client("sts").get_caller_identity(), "another twin is still there"
    twin.stop()


def test_stop_while_it_works(twin: Twin) -> None:
    """A function runs and somebody waits for the clock."""
    cloud = Cloud(twin)
    pids = busy(cloud)
    function = cloud.function(WARM, Timeout=300)
    cloud.client("lambda").invoke(FunctionName=function, InvocationType="Event", Payload=b"120")
    script = (
        "import sys; from pathlib import Path; from driftloop.twin.lifecycle import Twin;"
        "Twin.find(Path(sys.argv[1])).door('settle')"
    )
    waiting = subprocess.Popen(
        [sys.executable, "-c", script, str(twin.folder)], env=python_path(), stderr=subprocess.DEVNULL
    )
    time.sleep(1)
    pids |= set(alive(family(twin.pid)))
    assert waiting.poll() is None
    begun = time.monotonic()
    twin.stop()
    assert time.monotonic() - begun < 10
    until(lambda: not alive(pids), 5)
    assert waiting.wait(10) != 0


def python_path() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}


PARENT = """
import sys, time
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from driftloop.twin import lifecycle
from tests.contract.twin.cloud import Cloud
from tests.contract.twin.test_lifecycle import busy
twin = lifecycle.start(Path(sys.argv[1]), attached=True)
print(*busy(Cloud(twin)), flush=True)
time.sleep(120)
"""


def test_a_killed_parent_takes_its_twin_with_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path / "twin"), *(entry for entry in sys.path if entry)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        pids = {int(pid) for pid in parent.stdout.readline().split()}
        assert len(pids) >= 5
        parent.kill()
    until(lambda: not alive(pids), 10)


def test_a_killed_twin_takes_its_children_with_it(twin: Twin) -> None:
    pids = busy(Cloud(twin))
    os.kill(twin.pid, signal.SIGKILL)
    until(lambda: not alive(pids), 10)
    with pytest.raises(TwinError, match="does not answer"):
        twin.door("status")


def test_one_that_is_not_attached_stays_until_it_is_stopped(tmp_path: Path) -> None:
    """It begins when told, on the port that was asked for, whatever the developer's own profile is."""
    script = (
        "import sys; from datetime import datetime; from pathlib import Path; from driftloop.twin import lifecycle;"
        "lifecycle.start(Path(sys.argv[1]), int(sys.argv[2]), datetime.fromisoformat(sys.argv[3]))"
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    begin = datetime(2001, 2, 3, 4, 5, tzinfo=UTC)
    command = [sys.executable, "-c", script, str(tmp_path / "twin"), str(port), begin.isoformat()]
    subprocess.run(command, env=python_path() | {"AWS_PROFILE": "no-such-profile"}, check=True)
    twin = Twin.find(tmp_path / "twin")
    assert twin
    try:
        assert twin.url == f"http://127.0.0.1:{port}"
        assert timedelta() <= Cloud(twin).now() - begin < timedelta(minutes=2)
        role = Cloud(twin).role().rpartition("/")[2]
        assert Cloud(twin).client("iam").get_role(RoleName=role)["Role"]["CreateDate"].year == 2001
        assert Endpoint(Cloud(twin)).ask("x") == "one:x"
    finally:
        twin.stop()
    assert not alive({twin.pid})


def test_two_at_once_are_two_worlds(other: Twin, cloud: Cloud) -> None:
    assert (other.url, other.folder) != (cloud.twin.url, cloud.twin.folder)
    second = Cloud(other)
    name = cloud.bucket()
    assert name not in [bucket["Name"] for bucket in second.client("s3").list_buckets()["Buckets"]]
    before, far = second.now(), cloud.now()
    second.move(days=3)
    assert second.now() - before >= timedelta(days=3)
    assert cloud.now() - far < timedelta(minutes=5)


def test_a_folder_holds_one_twin(other: Twin) -> None:
    assert Twin.find(other.folder) == other
    with pytest.raises(TwinError, match=r"runs in .* already"):
        lifecycle.start(other.folder)


def test_a_taken_port_is_refused_clearly(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(TwinError, match=f"port {port} cannot be used: .*leave --port out"):
            lifecycle.start(tmp_path / "twin", port=port)


def test_it_listens_on_loopback_only(cloud: Cloud) -> None:
    port = urlsplit(cloud.twin.url).port
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = {row[1] for row in rows if row[3] == "0A"}
    assert f"0100007F:{port:04X}" in listening
    assert f"00000000:{port:04X}" not in listening


def test_the_date_header_tells_real_time(cloud: Cloud) -> None:
    connection = http.client.HTTPConnection(urlsplit(cloud.twin.url).netloc)
    connection.request("GET", "/")
    answer = connection.getresponse()
    answer.read()
    connection.close()
    dates = answer.headers.get_all("Date")
    assert dates
    assert len(dates) == 1
    assert abs(parsedate_to_datetime(dates[0]) - datetime.now(UTC)) < timedelta(seconds=5)
    assert abs(cloud.now() - datetime.now(UTC)) > timedelta(days=365)


def test_a_connection_that_the_twin_has_closed_is_opened_again(cloud: Cloud) -> None:
    cloud.twin.door("status")
    connection = lifecycle._door(urlsplit(cloud.twin.url).netloc)
    assert connection.sock
    connection.sock.shutdown(socket.SHUT_RDWR)
    assert cloud.twin.door("status")["now"]


@pytest.mark.parametrize(
    ("path", "request_", "said"),
    [("absent", {}, "absent"), ("clock", {"to": "yesterday"}, "yesterday"), ("clock", {}, "to")],
)
def test_the_door_says_what_is_wrong(cloud: Cloud, path: str, request_: dict[str, str], said: str) -> None:
    with pytest.raises(TwinError, match=said):
        cloud.twin.door(path, **request_)


def test_a_stale_file_is_no_twin(tmp_path: Path) -> None:
    """The process that it names is another one by now."""
    state = {"pid": os.getpid()} | dict.fromkeys(("url", "account", "region", "access_key", "secret_key"), "")
    (tmp_path / "ready.json").write_text(json.dumps(state))
    assert Twin.find(tmp_path) is None
    (tmp_path / "ready.json").write_text("{")
    assert Twin.find(tmp_path) is None
