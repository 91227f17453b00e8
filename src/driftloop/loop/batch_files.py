"""Where files of rows, the jobs that answer them and their answers are kept; all in the live bucket.

``batch/<model>/requests/<file>`` is what people write. The answer to one version of it is ``batch/<model>/answers/<file>/<id>.csv``,
or ``<id>.refused.json``, so what waits is what has neither.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Self

from driftloop.ports import Objects, Stored

TRIES = 3
"""Jobs that leave a file without an answer before it is refused: what made them fail may have been another file's fault,
or a lack of machines."""

_CAPTURED = re.compile(r"-[0-9a-f]{24}-\d+\.jsonl$")

_FINAL = ("csv", "refused.json")
"""Kinds of answers after which nothing is tried any more."""


@dataclass(frozen=True)
class Request:
    """One version of one file of rows."""

    name: str
    version: str
    size: int

    @property
    def id(self) -> str:
        """Identity of the content; S3's names of versions have characters that are awkward in keys."""
        return hashlib.sha256(f"{self.name}@{self.version}".encode()).hexdigest()[:24]


def is_of_file(capture_key: str) -> bool:
    """True for a capture of rows that came in a file, which ``transform_batch`` names after its request."""
    return bool(_CAPTURED.search(capture_key))


@dataclass(frozen=True)
class Job:
    """A transform job as it was asked for."""

    name: str
    sagemaker_model: str
    version: int
    """Version of the model that answers."""
    at: datetime
    requests: tuple[Request, ...]

    def to_json(self) -> bytes:
        """For ``from_json``."""
        return json.dumps({**asdict(self), "at": self.at.isoformat()}, sort_keys=True).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """What ``to_json`` made."""
        plain: dict[str, Any] = json.loads(content)
        at, requests = datetime.fromisoformat(plain["at"]), tuple(Request(**item) for item in plain["requests"])
        return cls(**{**plain, "at": at, "requests": requests})


@dataclass(frozen=True)
class BatchFiles:
    """The files of one model."""

    objects: Objects
    bucket: str
    model: str

    @property
    def _root(self) -> str:
        return f"batch/{self.model}"

    @property
    def requests(self) -> str:
        """Prefix of what people write."""
        return f"{self._root}/requests/"

    def waiting(self) -> list[Request]:
        """The latest version of each file that has no answer yet, by name."""
        answered = self.answered()
        stored = (_request(self.requests, item) for item in self.objects.latest(self.bucket, self.requests))
        # The console makes empty objects for folders.
        return [request for request in stored if request.name[-1:] not in ("", "/") and request.id not in answered]

    def unsettled(self) -> list[Job]:
        """Jobs of which it has not been written down what became of their files, oldest first."""
        prefix = f"{self._root}/jobs/"
        files = [key.removeprefix(prefix).partition("/") for key in self.objects.keys(self.bucket, prefix)]
        settled = {job for job, _, file in files if file == "settled.json"}
        return [self.job(job) for job, _, file in files if file == "job.json" and job not in settled]

    def is_settled(self, job: str) -> bool:
        """Whether it has been written down what became of a job's files."""
        key = self._of(job, "settled.json")
        return key in self.objects.keys(self.bucket, key)

    def job(self, name: str) -> Job:
        """A job that was asked for. Raises NotFoundError."""
        return Job.from_json(self.objects.read(self.bucket, self._of(name, "job.json")))

    def ask(self, job: Job) -> Job:
        """Write down a job before it is started; the one that was written down under its name before, if there is one."""
        if not self.objects.create(self.bucket, self._of(job.name, "job.json"), job.to_json()):
            job = self.job(job.name)
        manifest: Sequence[Any] = [
            {"prefix": f"s3://{self.bucket}/{self.requests}"}, *(request.name for request in job.requests)
        ]  # fmt: skip
        self.objects.write(self.bucket, self._of(job.name, "manifest.json"), json.dumps(manifest).encode())
        return job

    def manifest_uri(self, job: Job) -> str:
        """Where SageMaker reads which files to answer."""
        return f"s3://{self.bucket}/{self._of(job.name, 'manifest.json')}"

    def output_uri(self, job: Job) -> str:
        """Where SageMaker writes."""
        return f"s3://{self.bucket}/{self._of(job.name, 'out')}"

    def outputs(self, job: Job) -> dict[str, str]:
        """File name -> key of what SageMaker wrote for it, whatever folders it made for that."""
        keys = self.objects.keys(self.bucket, self._of(job.name, "out/"))
        return {key.rpartition("/")[2].removesuffix(".out"): key for key in keys if key.endswith(".out")}

    def rows(self, request: Request) -> Iterator[bytes]:
        """What was asked."""
        return self.objects.blocks(self.bucket, self.requests + request.name, request.version)

    def answered(self) -> set[str]:
        """Ids of the requests that need no answer any more."""
        return {id_ for id_, kind in self._known() if kind in _FINAL}

    def answer(self, request: Request, output: str) -> None:
        """What SageMaker wrote becomes the answer."""
        self.objects.copy(self.bucket, output, self._answer(request, "csv"))

    def refuse(self, request: Request, reason: str) -> None:
        """There will be no answer to this version of the file."""
        self._note(request, "refused.json", reason)

    def fail(self, request: Request, job: str, reason: str) -> int:
        """A job left it without an answer; how many have done so."""
        self._note(request, f"failed-{job}.json", reason)
        known = self._known(request.name)
        return sum(id_ == request.id and kind not in _FINAL for id_, kind in known)

    def settle(self, job: Job, outcome: Mapping[str, Any]) -> None:
        """Nothing is left to be done for a job."""
        self.objects.write(
            self.bucket, self._of(job.name, "settled.json"), json.dumps(outcome, sort_keys=True).encode()
        )

    def _known(self, name: str = "") -> Iterator[tuple[str, str]]:
        """Id of a request, and the kind of what is known of it: one of ``_FINAL``, or ``failed-<job>.json``."""
        for key in self.objects.keys(self.bucket, f"{self._root}/answers/{name}{'/' if name else ''}"):
            id_, _, kind = key.rpartition("/")[2].partition(".")
            yield id_, kind

    def _note(self, request: Request, kind: str, reason: str) -> None:
        self.objects.write(self.bucket, self._answer(request, kind), json.dumps({"reason": reason}).encode())

    def _answer(self, request: Request, kind: str) -> str:
        return f"{self._root}/answers/{request.name}/{request.id}.{kind}"

    def _of(self, job: str, file: str) -> str:
        return f"{self._root}/jobs/{job}/{file}"


def _request(prefix: str, item: Stored) -> Request:
    return Request(item.key.removeprefix(prefix), item.version, item.size)
