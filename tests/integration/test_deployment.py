"""A first deployment, before any model has a version."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from driftloop.names import PLATFORM_STACK, ModelNames

from .examples import BEGIN, TRAIN, TRAM, tram_history
from .kit import NAME, Kit


def test_stacks_deploy_without_any_version(kit: Kit) -> None:
    stacks = {s["StackName"]: s["StackStatus"] for s in kit.client("cloudformation").describe_stacks()["Stacks"]}
    for name in (PLATFORM_STACK, ModelNames(TRAIN).base, ModelNames(TRAM).base):
        assert stacks[name] == "CREATE_COMPLETE"
    assert kit.client("sagemaker").list_endpoints()["Endpoints"] == []


def test_second_twin_of_the_same_name_or_port_is_refused(kit: Kit) -> None:
    again = kit.run("up", "--name", NAME)
    assert (again.exit_code, again.output.count("\n")) == (1, 1)
    assert f"a twin named {NAME!r} runs already" in again.output
    port = urlsplit(kit.twin.url).port
    other = kit.run("up", "--name", "other", "--port", port)
    assert (other.exit_code, other.output.count("\n")) == (1, 1)
    assert f"port {port} cannot be used" in other.output
    assert not (kit.twin.folder.parent / "other").exists()
    assert "AWS_ENDPOINT_URL=" + kit.twin.url in kit.done("env", "--name", NAME)


def test_detect_drift_has_nothing_to_say_without_a_version(kit: Kit) -> None:
    answer = kit.client("lambda").invoke(
        FunctionName="driftloop-detect-drift", Payload=json.dumps({"model": TRAM}).encode()
    )
    assert "FunctionError" not in answer
    assert json.loads(answer["Payload"].read()) == {"verdict": None}
    assert kit.keys(f"reports/{TRAM}/") == []
    assert kit.metric(TRAM, "InputDrift") == 0


def test_reconcile_finds_nothing_to_do_and_may_look_at_everything(kit: Kit) -> None:
    for _ in range(2):
        answer = kit.client("lambda").invoke(FunctionName="driftloop-reconcile", Payload=b"{}")
        assert "FunctionError" not in answer, answer["Payload"].read()
        assert json.loads(answer["Payload"].read()) == {"done": {}, "failed": {}}


def test_training_without_rows_fails_with_the_reason(kit: Kit) -> None:
    episode = kit.retrain(TRAM, "no history yet")
    assert episode.status == "failed"
    assert "training: 0 rows, and at least 1000 are needed" in episode.outcome
    assert kit.ledger.champion(TRAM) is None
    assert "0 rows" in kit.done("episodes", TRAM)


def test_training_on_one_class_fails_with_the_reason(kit: Kit, tmp_path: Path) -> None:
    file = tmp_path / "rides.csv"
    file.write_text(tram_history())
    kit.done("history", "import", TRAM, file)
    episode = kit.retrain(TRAM, "nobody rides")
    assert episode.status == "failed"
    assert "full is 0 in all rows; both classes are needed" in episode.outcome


def test_history_lands_by_day_and_a_second_import_changes_nothing(kit: Kit, tmp_path: Path) -> None:
    day = BEGIN.replace(hour=0) - timedelta(days=40)
    file = tmp_path / "two-days.csv"
    file.write_text(f"ride,at,hour,full\nA,{day:%Y-%m-%d}T23:59:59Z,23,1\nB,{day:%Y-%m-%d}T23:59:59-01:00,0,0\n")
    assert "2 objects written, 0 as they were" in kit.done("history", "import", TRAM, file)
    first, second = (f"history/{TRAM}/{day + timedelta(days=n):%Y-%m-%d}.csv" for n in (0, 1))
    assert kit.read(first, "curated").decode().splitlines()[1].startswith("A,")
    assert kit.read(second, "curated").decode().splitlines()[1].startswith("B,")
    assert "0 objects written, 2 as they were" in kit.done("history", "import", TRAM, file)
