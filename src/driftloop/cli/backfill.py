"""Count past traffic again, for a baseline that was not there when it arrived."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from driftloop.aws.backfill import QUEUE, BackfillQueue
from driftloop.aws.captures import S3Captures
from driftloop.aws.pipelines import SageMakerPipelines
from driftloop.cli.cloud import Cloud
from driftloop.loop import backfill as work
from driftloop.loop.backfill import Plan, Rebuilt
from driftloop.loop.baselines import load_baseline
from driftloop.names import ModelNames, parse_uri
from driftloop.ports import DriftloopError
from driftloop.spec.sizes import write_size

LONGEST = timedelta(days=366)
_POLL_SECONDS = 2.0
_ENDED = {"Succeeded", "Failed", "Stopped"}


def _hour(_ctx: click.Context, _option: click.Parameter, value: str) -> datetime:
    """A date, or a date and an hour, as a time in UTC. Raises BadParameter with a hint."""
    try:
        moment = datetime.fromisoformat(value)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{value!r} is not a time; write 2013-03-01 or 2013-03-01T06:00Z") from None
    if moment != moment.replace(minute=0, second=0, microsecond=0):
        raise click.BadParameter(f"{value!r} is not a whole hour in UTC: captures are kept by the hour")
    return moment


@dataclass(frozen=True)
class Backfill:
    """One run."""

    cloud: Cloud
    model: str
    run: str
    baseline_uri: str
    plan: Plan

    def on_functions(self) -> None:
        """Send one message per hour."""
        BackfillQueue(self.cloud.client("sqs")).send(self.plan.tasks(self.run, self.model, self.baseline_uri))

    def on_spark(self, start: datetime, end: datetime) -> str:
        """Start the model's profile pipeline; ARN of its execution."""
        parameters = {"From": start.isoformat(), "To": end.isoformat(), "BaselineUri": self.baseline_uri}
        pipelines = SageMakerPipelines(self.cloud.client("sagemaker"))
        return pipelines.start(ModelNames(self.model).profile_pipeline, parameters, self.run)

    def done(self) -> list[str]:
        """Keys of the receipts so far."""
        return self.cloud.objects.keys(self.cloud.bucket("live"), work.receipts(self.model, self.run))

    def total(self) -> Rebuilt:
        """Sum of the receipts."""
        texts = (self.cloud.objects.read(self.cloud.bucket("live"), key) for key in self.done())
        return work.sum_receipts(texts)


@click.command()
@click.argument("model")
@click.option(
    "--from",
    "start",
    callback=_hour,
    required=True,
    help="First hour, by arrival, in UTC: 2013-03-01 or 2013-03-01T06:00Z.",
)
@click.option("--to", "end", callback=_hour, required=True, help="The hour after the last one.")
@click.option("--baseline", metavar="URI", help="s3://.../baseline.json to count for; without it the one in force.")
@click.option("--engine", type=click.Choice(["auto", "functions", "spark"]), default="auto", show_default=True,
              help="Who does it; auto follows monitoring.spark_above of the model file.")  # fmt: skip
@click.option("--wait", is_flag=True, help="Show the progress and end when all is done.")
def backfill(model: str, start: datetime, end: datetime, baseline: str | None, engine: str, wait: bool) -> None:
    """Rebuild MODEL's profile shards and decoded rows from the captures of a range of hours.

    For a baseline that is new, or rows whose columns are. Hours are those of the capture keys, when requests arrived: a
    row's event time may be earlier, so begin and end a little later than the events you want. Nothing is counted twice,
    however often a range is rebuilt.
    """
    _check_range(start, end)
    cloud = Cloud.of_environment()
    deployed = cloud.model(model)
    uri = baseline or _in_force(cloud, model)
    found = work.plan(
        S3Captures(cloud.client("s3")), cloud.bucket("live"), deployed.resources.endpoint, (start, end), deployed.spec
    )
    run = Backfill(cloud, model, uuid.uuid4().hex, uri, found)
    click.echo(
        f"{model}: {found.objects} capture objects of {write_size(found.size)} in {len(found.hours)} hours; "
        f"baseline {_baseline_id(cloud, uri)}"
    )
    if not found.hours:
        raise click.ClickException("nothing arrived in these hours, or it has expired: captures are kept for 90 days")
    if engine == "spark" or (engine == "auto" and found.on_spark):
        if found.spark_above is None:
            raise click.ClickException(
                f"{model} has no Spark job: set monitoring.spark_above in its model file and deploy it"
            )
        _spark(run, start, end, wait)
    else:
        _functions(run, wait)


def _check_range(start: datetime, end: datetime) -> None:
    if start >= end:
        raise click.ClickException(f"--from {start:%Y-%m-%dT%H} is not before --to {end:%Y-%m-%dT%H}; swap them")
    if end - start > LONGEST:
        raise click.ClickException(f"{(end - start).days} days are more than {LONGEST.days}; take a part at a time")


def _in_force(cloud: Cloud, model: str) -> str:
    serving = cloud.ledger.champion(model) or cloud.ledger.deployment(model)
    if serving is None:
        raise click.ClickException(f"{model} has no version yet, so no baseline is in force; name one with --baseline")
    return serving.baseline_uri


def _baseline_id(cloud: Cloud, uri: str) -> str:
    try:
        parse_uri(uri)
        return load_baseline(cloud.objects, uri).id
    except (ValueError, DriftloopError) as error:
        raise click.ClickException(f"--baseline {uri} cannot be used: {error}") from error


def _functions(run: Backfill, wait: bool) -> None:
    queue = BackfillQueue(run.cloud.client("sqs"))
    before = queue.dead_letters()
    run.on_functions()
    where = f"s3://{run.cloud.bucket('live')}/{work.receipts(run.model, run.run)}"
    click.echo(f"backfill {run.run}: {len(run.plan.hours)} hours asked for; each one done leaves an object in {where}")
    if wait:
        _follow(len(run.plan.hours), lambda: len(run.done()), lambda: queue.dead_letters() - before)
        total = run.total()
        click.echo(f"rebuilt {total.rows} rows of {total.objects} objects, {total.quarantined} quarantined")


def _follow(hours: int, done: Callable[[], int], lost: Callable[[], int]) -> None:
    """Show the progress until the last hour is done. Raises ClickException if hours were given up."""
    with click.progressbar(length=hours, label="hours") as bar:
        for number in _counts(hours, done, lost):
            bar.update(number - bar.pos)


def _counts(hours: int, done: Callable[[], int], lost: Callable[[], int]) -> Iterator[int]:
    while True:
        # In this order: an hour that ends between the two is seen as done and not as given up.
        given_up, number = lost(), done()
        yield number
        if number >= hours:
            return
        if given_up > 0 and number + given_up >= hours:
            raise click.ClickException(
                f"{hours - number} of {hours} hours were given up and wait in {QUEUE}-dlq; the log group "
                "/aws/lambda/driftloop-rebuild-shards says why. Then run this again: what is done stays as it is"
            )
        time.sleep(_POLL_SECONDS)


def _spark(run: Backfill, start: datetime, end: datetime, wait: bool) -> None:
    arn = run.on_spark(start, end)
    click.echo(f"backfill {run.run}: Spark job started\n{arn}")
    if not wait:
        return
    sagemaker = run.cloud.client("sagemaker")
    while (status := _status(sagemaker, arn)) not in _ENDED:
        time.sleep(_POLL_SECONDS)
    if status != "Succeeded":
        step, reason = SageMakerPipelines(sagemaker).failure(arn)
        raise click.ClickException(f"the Spark job ended as {status}: {step}: {reason}")
    click.echo(f"the Spark job has ended: {status}")


def _status(sagemaker: Any, arn: str) -> str:
    return str(sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)["PipelineExecutionStatus"])
