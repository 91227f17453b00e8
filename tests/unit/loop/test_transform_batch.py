"""Files of rows: which job answers them, what comes of each, and that nothing is lost or counted twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from driftloop.data.capture import decode_capture
from driftloop.loop.transform_batch import MAX_BYTES, Batches
from driftloop.ports import Instances, NotFoundError, RetryableError, Stored
from driftloop.simulation.fakes import FakeClock, FakeLedger, FakeModels, FakeNotifier, FakeObjects, FakeTransforms
from tests.fakes import examples as ex

KEY = "arn:aws:kms:eu-central-1:123456789012:key/1"
AT = ex.START + timedelta(days=1)
ROOT = f"batch/{ex.NAME}"
JOB = f"{ex.BASE}-20260303000000"
ROWS = "".join(f"t{n},2026-03-02T10:00:00Z,north,{n}\n" for n in range(5)).encode()


@dataclass
class Account:
    """One model that answers files, with a version that serves."""

    clock: FakeClock = field(default_factory=lambda: FakeClock(AT))
    ledger: FakeLedger = field(default_factory=FakeLedger)
    objects: FakeObjects = field(default_factory=FakeObjects)
    transforms: FakeTransforms = field(default_factory=FakeTransforms)
    notifier: FakeNotifier = field(default_factory=FakeNotifier)
    models: FakeModels = field(
        default_factory=lambda: FakeModels(ex.model(serving={"batch": {"every": "1d", "count": 2}}), ex.model("other"))
    )

    def __post_init__(self) -> None:
        self.ledger.set_champion(ex.NAME, ex.champion(3))

    @property
    def batches(self) -> Batches:
        return Batches(self.models, self.ledger, self.objects, self.transforms, self.notifier, self.clock, ex.LIVE, KEY)

    def upload(self, name: str, content: bytes = ROWS) -> None:
        self.objects.put(ex.LIVE, f"{ROOT}/requests/{name}", content)

    def due(self, hours: float = 0) -> str:
        at: datetime = AT + timedelta(hours=hours)
        self.clock.time = at + timedelta(seconds=20)
        return self.batches.due(ex.NAME, at)

    def answers(self, name: str, job: str = JOB, content: bytes | None = None) -> None:
        """What SageMaker writes for a file, in a folder that it makes."""
        lines = [line.partition(b",")[0] + b",0.25" for line in ROWS.splitlines()]
        out = f"{ROOT}/jobs/{job}/out/requests/{name}.out"
        self.objects.put(ex.LIVE, out, b"\n".join(lines) if content is None else content)

    def asked(self, job: str = JOB) -> list[str]:
        return [r["name"] for r in json.loads(self.objects.read(ex.LIVE, f"{ROOT}/jobs/{job}/job.json"))["requests"]]

    def known(self, name: str) -> list[str]:
        """Kinds of what is known of a file."""
        keys = self.objects.keys(ex.LIVE, f"{ROOT}/answers/{name}/")
        return sorted(key.rpartition("/")[2].partition(".")[2] for key in keys)

    def captured(self) -> int:
        keys = self.objects.keys(ex.LIVE, f"capture/{ex.BASE}/AllTraffic/2026/03/")
        contents = [self.objects.read(ex.LIVE, key) for key in keys]
        return sum(part.rows for content in contents for part in decode_capture(ex.SCHEMA, [content]))

    def told(self) -> list[str]:
        return [subject for subject, _ in self.notifier.messages]


@pytest.fixture
def account() -> Account:
    return Account()


def test_a_file_is_answered_by_the_version_that_serves_and_captured(account: Account) -> None:
    account.upload("monday.csv")
    account.upload("tuesday.csv")
    assert account.due() == f"{JOB} answers 2 files with version 3"
    plan = account.transforms.plans[JOB]
    assert (plan.sagemaker_model, plan.on) == (f"{ex.BASE}-v3", Instances("ml.m5.large", 2))
    assert plan.output_uri == f"s3://{ex.LIVE}/{ROOT}/jobs/{JOB}/out"
    manifest = json.loads(account.objects.read(ex.LIVE, plan.manifest_uri.removeprefix(f"s3://{ex.LIVE}/")))
    assert manifest == [{"prefix": f"s3://{ex.LIVE}/{ROOT}/requests/"}, "monday.csv", "tuesday.csv"]
    account.answers("monday.csv")
    account.answers("tuesday.csv")
    account.transforms.end(JOB, "Completed")
    assert account.batches.ended(JOB) == f"{JOB} is Completed, 0 of 2 files without an answer"
    assert account.known("monday.csv") == account.known("tuesday.csv") == ["csv"]
    (key,) = account.objects.keys(ex.LIVE, f"{ROOT}/answers/monday.csv/")
    assert account.objects.read(ex.LIVE, key).startswith(b"t0,0.25\nt1,0.25\n")
    assert account.captured() == 10
    assert account.told() == []


def test_everything_can_be_delivered_twice(account: Account) -> None:
    account.upload("a.csv")
    first = account.due()
    assert account.due() == f"{JOB} has not ended: what waits is for the next job"
    account.answers("a.csv")
    account.transforms.end(JOB, "Completed")
    account.batches.ended(JOB)
    assert account.batches.ended(JOB) == f"{JOB} is settled: nothing to do"
    assert account.due() == f"{JOB} is settled: nothing to do"
    assert account.due(24) == "no file waits"
    assert (first, account.captured(), list(account.transforms.plans)) == (
        f"{JOB} answers 1 files with version 3", 5, [JOB],
    )  # fmt: skip


def test_the_next_time_finds_what_the_event_did_not_tell(account: Account) -> None:
    account.upload("a.csv")
    account.due()
    account.answers("a.csv")
    account.transforms.end(JOB, "Completed")
    account.upload("b.csv")
    assert account.due(24) == (
        f"{JOB} is Completed, 0 of 1 files without an answer; {ex.BASE}-20260304000000 answers 1 files with version 3"
    )
    assert (account.known("a.csv"), account.asked(f"{ex.BASE}-20260304000000")) == (["csv"], ["b.csv"])


def test_a_file_that_is_uploaded_again_is_answered_again(account: Account) -> None:
    account.upload("a.csv")
    account.due()
    account.upload("a.csv")
    account.answers("a.csv")
    account.transforms.end(JOB, "Completed")
    account.due(24)
    later = f"{ex.BASE}-20260304000000"
    assert account.asked(later) == ["a.csv"]
    account.answers("a.csv", later)
    account.transforms.end(later, "Completed")
    account.batches.ended(later)
    assert (account.known("a.csv"), account.captured()) == (["csv", "csv"], 10)


class _DyingObjects(FakeObjects):
    """Every write after a number of them fails, as if the process had ended."""

    left = 10**9

    def write(self, bucket: str, key: str, content: bytes) -> None:
        if self.left <= 0:
            raise RuntimeError("the process has ended")
        self.left -= 1
        super().write(bucket, key, content)


@pytest.mark.parametrize("writes", range(12))
def test_a_process_that_ends_anywhere_costs_nothing(writes: int) -> None:
    objects = _DyingObjects()
    account = Account(objects=objects)
    account.upload("a.csv")
    account.upload("bad.csv", ROWS + b"t9,yesterday,north,1\n")

    def play() -> Iterator[str]:
        yield account.due()
        account.answers("a.csv")
        if JOB in account.transforms.plans and account.transforms.running(ex.BASE):
            account.transforms.end(JOB, "Failed", "ClientError: see the log")
        yield account.batches.ended(JOB)

    objects.left = writes
    try:
        for _ in play():
            pass
    except (RuntimeError, NotFoundError):
        objects.left = 10**9
        for _ in play():
            pass
    objects.left = 10**9
    account.due(24)
    assert (account.known("a.csv"), account.known("bad.csv")) == (["csv"], ["refused.json"])
    assert (account.captured(), list(account.transforms.plans)) == (5, [JOB])


def test_a_bad_row_is_named_and_does_not_come_again(account: Account) -> None:
    account.upload("bad.csv", ROWS + b"t9,yesterday,north,1\n")
    account.upload("good.csv")
    account.due()
    account.answers("good.csv")
    account.transforms.end(JOB, "Failed", "ClientError: see the log")
    assert account.batches.ended(JOB) == f"{JOB} is Failed, 1 of 2 files without an answer"
    assert (account.known("bad.csv"), account.known("good.csv")) == (["refused.json"], ["csv"])
    (key,) = account.objects.keys(ex.LIVE, f"{ROOT}/answers/bad.csv/")
    assert json.loads(account.objects.read(ex.LIVE, key))["reason"].startswith("row 6: ")
    assert account.told() == ["[driftloop] late_train: 1 files without an answer"]
    assert "bad.csv: row 6: " in account.notifier.messages[0][1]
    assert account.due(24) == "no file waits"
    account.upload("bad.csv")
    assert "answers 1 files" in account.due(48)


def test_a_file_that_three_jobs_leave_out_is_given_up(account: Account) -> None:
    account.upload("a.csv")
    for days in range(3):
        job = f"{ex.BASE}-202603{3 + days:02d}000000"
        assert "answers 1 files" in account.due(24 * days)
        account.transforms.end(job, "Failed", "CapacityError: no machines")
        account.batches.ended(job)
        assert "CapacityError" in account.notifier.messages[-1][1]
        assert ("is tried again\n" in account.notifier.messages[-1][1]) == (days < 2)
    assert account.due(72) == "no file waits"
    assert account.known("a.csv").count("refused.json") == 1


def test_a_job_that_a_person_stopped_says_nothing_about_its_files(account: Account) -> None:
    account.upload("a.csv")
    account.due()
    account.transforms.end(JOB, "Stopped")
    account.batches.ended(JOB)
    assert (account.known("a.csv"), account.told()) == ([], [])
    assert "answers 1 files" in account.due(24)


def test_answers_of_other_rows_are_not_handed_out(account: Account) -> None:
    account.upload("a.csv")
    account.due()
    account.answers("a.csv", content=b"t0,0.1\n")
    account.transforms.end(JOB, "Completed")
    account.batches.ended(JOB)
    assert "line 2: there are more rows than answers" in account.notifier.messages[0][1]
    assert (account.captured(), account.known("a.csv")) == (0, [f"failed-{JOB}.json"])


@pytest.mark.parametrize(
    ("name", "content", "reason"), [("sub/a.csv", ROWS, "folder of its own"), ("empty.csv", b"", "it is empty")]
)
def test_files_that_no_job_can_answer(account: Account, name: str, content: bytes, reason: str) -> None:
    account.upload(name, content)
    account.upload("sub/", b"")
    assert account.due() == "no file waits"
    assert account.told() == ["[driftloop] late_train: 1 files refused"]
    assert reason in account.notifier.messages[0][1]
    assert account.known(name) == ["refused.json"]
    assert account.due() == "no file waits"
    assert len(account.told()) == 1


def test_a_file_that_is_too_large(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    huge = Stored(f"{ROOT}/requests/huge.csv", "1", MAX_BYTES + 1)
    monkeypatch.setattr(account.objects, "latest", lambda *_: [huge])
    assert account.due() == "no file waits"
    assert "send it in parts" in account.notifier.messages[0][1]


def test_a_file_that_was_deleted_while_its_job_ran(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    account.upload("a.csv")
    account.due()
    account.transforms.end(JOB, "Failed", "no such key")
    blocks = account.objects.blocks

    def gone(bucket: str, key: str, version: str | None = None) -> Iterator[bytes]:
        if "/requests/" in key:
            raise NotFoundError(f"s3://{bucket}/{key} does not exist")
        return blocks(bucket, key, version)

    monkeypatch.setattr(account.objects, "blocks", gone)
    account.batches.ended(JOB)
    assert account.known("a.csv") == ["refused.json"]


def test_a_job_that_never_started_gives_its_files_back(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    account.upload("a.csv")

    def full(_plan: object) -> None:
        raise RetryableError("no room")

    monkeypatch.setattr(account.transforms, "start", full)
    with pytest.raises(RetryableError):
        account.due()
    monkeypatch.undo()
    assert account.due(0.5) == f"{JOB} is being started; no file waits"
    assert "answers 1 files" in account.due(24)
    assert list(account.transforms.plans) == [f"{ex.BASE}-20260304000000"]
    account.transforms.end(f"{ex.BASE}-20260304000000", "Stopped")
    # The message whose job was given up comes back, hours later.
    assert account.batches.due(ex.NAME, AT).endswith(f"{JOB} is settled: nothing to do")
    assert list(account.transforms.plans) == [f"{ex.BASE}-20260304000000"]


def test_a_message_that_is_tried_again_starts_the_job_that_was_written_down(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.upload("a.csv")
    monkeypatch.setattr(account.transforms, "start", lambda _plan: (_ for _ in ()).throw(RetryableError("no room")))
    with pytest.raises(RetryableError):
        account.due()
    monkeypatch.undo()
    account.upload("b.csv")
    account.ledger.set_champion(ex.NAME, ex.champion(4))
    assert account.due() == f"{JOB} answers 1 files with version 3"
    assert account.asked() == ["a.csv"]


def test_what_there_is_nothing_to_do_for(account: Account) -> None:
    account.upload("a.csv")
    assert account.batches.due("other", AT) == "the model file of other has no serving.batch.every: nothing to do"
    for job in ("driftloop-unknown-20260303000000", "mine"):
        assert account.batches.ended(job) == f"{job} is not of a deployed model: nothing to do"
    account.ledger = FakeLedger()
    assert account.due() == f"no version of {ex.NAME} serves yet: nothing to do"


def test_many_files_are_divided_among_jobs(account: Account) -> None:
    for number in range(1003):
        account.upload(f"{number:04d}.csv")
    assert "answers 1000 files" in account.due()


def test_a_share_is_captured(account: Account) -> None:
    account.models.replace(ex.model(serving={"batch": {"every": "1d"}, "capture": "0%"}))
    account.upload("a.csv")
    account.due()
    account.answers("a.csv")
    account.transforms.end(JOB, "Completed")
    account.batches.ended(JOB)
    assert (account.captured(), account.known("a.csv")) == (0, ["csv"])
