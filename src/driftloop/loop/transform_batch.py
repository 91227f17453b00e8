"""Files of rows become files of answers, by a batch transform job on the version that serves; and captures, so that they are
monitored like everything else that a version is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from driftloop.data.answers import UnpairedError, capture_objects, check_pairs, first_fault
from driftloop.data.records import capture_key
from driftloop.loop.batch_files import TRIES, BatchFiles, Job, Request
from driftloop.names import VARIANT, model_of_endpoint
from driftloop.ports import (
    Clock,
    Instances,
    Ledger,
    Model,
    Models,
    NotFoundError,
    Notifier,
    Objects,
    TransformPlan,
    Transforms,
    TransformState,
)

MAX_BYTES = 2 * 1024**3
"""Largest file of rows: it is captured within one run of a function, and copied by S3 in one piece."""
MAX_FILES = 1000
"""Files of one job; the others wait for the next."""
_STARTING = timedelta(hours=1)
"""For as long whoever wrote a job down may still be trying to start it."""


@dataclass(frozen=True)
class Batches:
    """Starts jobs for files that wait, and brings in what jobs have answered. Every call can be repeated."""

    models: Models
    ledger: Ledger
    objects: Objects
    transforms: Transforms
    notifier: Notifier
    clock: Clock
    live_bucket: str
    kms_key_arn: str

    def due(self, name: str, at: datetime) -> str:
        """Answer what waits at a time of the model file's schedule; says what was done.

        One job runs at a time: its files are still without an answer. Raises RetryableError if no job can be started now.
        """
        model = self.models.get(name)
        if model.spec["serving"]["batch"]["every"] is None:
            return f"the model file of {name} has no serving.batch.every: nothing to do"
        files = BatchFiles(self.objects, self.live_bucket, name)
        if running := self.transforms.running(model.resources.endpoint):
            return f"{running} has not ended: what waits is for the next job"
        # Also what was written down and never started, if it is still to come: its files are not for another one.
        told = [self._look(model, files, job) for job in files.unsettled() if job.at != at]
        return "; ".join([*told, self._start(model, files, at)])

    def ended(self, job: str) -> str:
        """Bring in what a job has answered; says what was done."""
        try:
            model = self.models.get(model_of_endpoint(job.rpartition("-")[0]))
        except (NotFoundError, ValueError):
            return f"{job} is not of a deployed model: nothing to do"
        files = BatchFiles(self.objects, self.live_bucket, model.name)
        found = next((each for each in files.unsettled() if each.name == job), None)
        return self._look(model, files, found) if found else f"{job} is settled: nothing to do"

    def _start(self, model: Model, files: BatchFiles, at: datetime) -> str:
        champion = self.ledger.champion(model.name)
        if champion is None:
            return f"no version of {model.name} serves yet: nothing to do"
        name = f"{model.resources.endpoint}-{at:%Y%m%d%H%M%S}"
        if files.is_settled(name):
            # The message comes back after its job has ended, or was given up and its files went to a later one.
            return f"{name} is settled: nothing to do"
        under_way = {request for job in files.unsettled() if job.at != at for request in job.requests}
        waiting = self._fit(model, files, [request for request in files.waiting() if request not in under_way])
        if not waiting:
            return "no file waits"
        job = files.ask(Job(name, champion.config, champion.version, at, tuple(waiting[:MAX_FILES])))
        batch = model.spec["serving"]["batch"]
        self.transforms.start(
            TransformPlan(
                job.name, job.sagemaker_model, files.manifest_uri(job), files.output_uri(job),
                Instances(batch["instance"], batch["count"]), self.kms_key_arn,
            )
        )  # fmt: skip
        return f"{job.name} answers {len(job.requests)} files with version {job.version}"

    def _fit(self, model: Model, files: BatchFiles, waiting: Sequence[Request]) -> list[Request]:
        """Those that a job can answer; the others are refused."""
        faults = {request: fault for request in waiting if (fault := _fault(request))}
        for request, fault in faults.items():
            files.refuse(request, fault)
        if faults:
            self._tell(
                model, f"{len(faults)} files refused", {request.name: fault for request, fault in faults.items()}
            )
        return [request for request in waiting if request not in faults]

    def _look(self, model: Model, files: BatchFiles, job: Job) -> str:
        try:
            state = self.transforms.state(job.name)
        except NotFoundError:
            if self.clock.now() - job.at < _STARTING:
                return f"{job.name} is being started"
            state = TransformState("Stopped", "it was never started")
        if not state.is_over:
            return f"{job.name} is {state.status}"
        return self._settle(model, files, job, state)

    def _settle(self, model: Model, files: BatchFiles, job: Job, state: TransformState) -> str:
        outputs, answered = files.outputs(job), files.answered()
        unanswered: dict[str, str] = {}
        for request in job.requests:
            if request.id in answered:
                continue
            if request.name in outputs:
                fault = self._bring_in(model, files, job, request, outputs[request.name])
            else:
                fault = f"{job.name} is {state.status} and left it out: {state.failure or 'no reason given'}"
            # Whoever stopped a job has said nothing about its files.
            if fault and state.status != "Stopped":
                unanswered[request.name] = self._failed(model, files, job, request, fault)
        if unanswered:
            self._tell(model, f"{len(unanswered)} files without an answer", unanswered)
        files.settle(job, {"status": state.status, "failure": state.failure, "unanswered": unanswered})
        return f"{job.name} is {state.status}, {len(unanswered)} of {len(job.requests)} files without an answer"

    def _bring_in(self, model: Model, files: BatchFiles, job: Job, request: Request, output: str) -> str:
        """Capture a file and its answers, then hand the answers out; why that cannot be done, or nothing."""
        share = model.spec["serving"]["capture"]
        try:
            # Before anything is captured: a file that is answered again must not be counted twice.
            check_pairs(files.rows(request), self.objects.blocks(self.live_bucket, output))
        except (UnpairedError, NotFoundError) as error:
            return str(error)
        answers = self.objects.blocks(self.live_bucket, output)
        for number, content in enumerate(capture_objects(files.rows(request), answers, request.id, job.at, share)):
            key = capture_key("capture", model.resources.endpoint, VARIANT, job.at, f"{request.id}-{number}")
            # Made once: what a run before this one has captured is not counted again.
            self.objects.create(self.live_bucket, key, content)
        files.answer(request, output)
        return ""

    def _failed(self, model: Model, files: BatchFiles, job: Job, request: Request, fault: str) -> str:
        """What becomes of a file that a job has not answered; SageMaker says that there was a bad row, and not which."""
        try:
            if bad := first_fault(model.schema, files.rows(request)):
                files.refuse(request, bad)
                return bad
        except NotFoundError as error:
            files.refuse(request, str(error))
            return f"{error}: it was deleted meanwhile"
        tries = files.fail(request, job.name, fault)
        if tries < TRIES:
            return f"{fault}; it is tried again"
        files.refuse(request, fault)
        return f"{fault}; after {tries} jobs it is tried again only if it is uploaded again"

    def _tell(self, model: Model, what: str, files: dict[str, str]) -> None:
        lines = [f"{name}: {why}" for name, why in sorted(files.items())]
        self.notifier.publish(f"[driftloop] {model.name}: {what}", "\n".join(lines) + "\n")


def _fault(request: Request) -> str:
    """Why no job is asked to answer a file; nothing if one is."""
    if "/" in request.name:
        return "it lies in a folder of its own; put files directly below requests/"
    if not request.size:
        return "it is empty"
    return f"its {request.size} bytes are more than {MAX_BYTES}; send it in parts" if request.size > MAX_BYTES else ""
