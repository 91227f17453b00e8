"""From a version back to what it was made from: evaluation, data set, code, and who asked for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import click
from botocore.exceptions import ClientError

from driftloop.aws.hosting import SageMakerHosting, is_missing
from driftloop.cli.cloud import Cloud
from driftloop.cli.words import plain
from driftloop.data.manifests import HASH, MANIFEST, content_hash
from driftloop.names import parse_uri
from driftloop.ports import NotFoundError, Package
from driftloop.retraining.episode import Episode

_Found = TypeVar("_Found")
_THREADS = 8
SOUND, CHANGED = "as it was written", "not what its hash was made of"


@dataclass(frozen=True)
class DataSet:
    """One data set: what a manifest says, and where it lies."""

    execution: str
    """Id of the pipeline execution that made it."""
    uri: str
    manifest: Mapping[str, Any]

    @property
    def hash(self) -> str:
        """The manifest's own hash."""
        return str(self.manifest.get(HASH, ""))

    @property
    def state(self) -> str:
        """Whether the manifest is what was written."""
        return SOUND if content_hash(self.manifest) == self.hash else CHANGED

    def rows(self, part: str) -> int:
        """Rows of the ``training`` or the ``holdout`` part."""
        return int(self.manifest["files"][f"{part}/rows.csv"]["rows"])

    def window(self, part: str) -> str:
        """Its time, for people."""
        window = self.manifest["windows"][part]
        return f"{window['start']} to {window['end']}"

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {"execution": self.execution, "uri": self.uri, "state": self.state, **self.manifest}


def data_sets(cloud: Cloud, model: str) -> list[DataSet]:
    """All data sets of a model, in order of the end of their holdout. Raises ClickException without any."""
    bucket, prefix = cloud.bucket("curated"), f"datasets/{model}/"
    keys = [key for key in cloud.objects.keys(bucket, prefix) if key.endswith(f"/manifest/{MANIFEST}")]
    with ThreadPoolExecutor(_THREADS) as pool:
        found = list(pool.map(lambda key: _read(cloud, bucket, key), keys))
    if not found:
        raise click.ClickException(f"{model} has no data set in s3://{bucket}/{prefix}: nothing was trained yet")
    return sorted(found, key=lambda data: (data.manifest["windows"]["holdout"]["end"], data.execution))


def data_set(cloud: Cloud, model: str, execution: str) -> DataSet | None:
    """The data set of one execution; None if it was deleted."""
    key = f"datasets/{model}/{execution}/manifest/{MANIFEST}"
    return if_there(lambda: _read(cloud, cloud.bucket("curated"), key))


def _read(cloud: Cloud, bucket: str, key: str) -> DataSet:
    uri = f"s3://{bucket}/{key}"
    try:
        manifest = json.loads(cloud.objects.read(bucket, key))
        data = DataSet(key.split("/")[2], uri, manifest)
        # What everything here asks of a manifest.
        _ = [data.rows(part) and data.window(part) for part in ("training", "holdout")], manifest["sources"]
    except (ValueError, KeyError, TypeError) as error:
        raise click.ClickException(f"{uri} is not a manifest: {type(error).__name__}: {error}") from None
    return data


@dataclass(frozen=True)
class Lineage:
    """Where a version comes from; None is what has been deleted since."""

    package: Package
    evaluation: Mapping[str, Any] | None
    data: DataSet | None
    episode: Episode | None

    @property
    def data_state(self) -> str:
        """Whether the data set is the one that the version was registered with."""
        if self.data is None:
            return "deleted"
        registered = self.package.properties.get(HASH)
        return self.data.state if registered == self.data.hash else f"not the one that was registered ({registered})"

    def as_dict(self) -> dict[str, Any]:
        """As JSON. Documented in ``docs/guide/lineage.md``."""
        episode = self.episode
        return {
            "version": self.package.version,
            "model_package_arn": self.package.arn,
            "model_data_url": self.package.model_data_url,
            "approval": self.package.approval,
            "evaluation": {"uri": self.package.properties.get("evaluation_uri"), "gate": (self.evaluation or {}).get("gate")},
            "data": self.data and {**self.data.as_dict(), "state": self.data_state},
            "code": (episode and episode.revision) or None,
            "trigger": self.package.properties.get("trigger"),
            "episode": episode and {
                "id": episode.id, "trigger": str(episode.trigger), "by": episode.by or None, "reason": episode.reason,
            },
        }  # fmt: skip

    def lines(self) -> list[tuple[str, str]]:
        """Label and text, for people."""
        gate, data, episode = (self.evaluation or {}).get("gate"), self.data, self.episode
        found = [
            ("version", f"{self.package.version} ({self.package.arn})"),
            ("evaluation", f"{gate['decision']}: {gate['reason']}" if gate else "deleted"),
            ("data set", f"{self.package.properties.get(HASH, 'unknown')}, {self.data_state}"),
        ]
        if data:
            found += [
                ("", f"{data.uri}"),
                ("", f"training {data.window('training')}: {data.rows('training')} rows"),
                ("", f"holdout  {data.window('holdout')}: {data.rows('holdout')} rows"),
                ("", f"from {len(data.manifest['sources'])} objects, which driftloop data show names"),
            ]
        if episode:
            found += [
                ("code", episode.revision or "not recorded"),
                (
                    "asked",
                    f"{episode.trigger} by {plain(episode.by) or 'somebody (not recorded)'}: {plain(episode.reason)}",
                ),
                ("episode", episode.id),
            ]
        else:
            found.append(("asked", f"a run by hand ({self.package.properties.get('trigger', 'unknown')})"))
        return found


def lineage(cloud: Cloud, model: str, package_arn: str) -> Lineage:
    """Everything that a version rests on. Raises ClickException if the version itself was deleted."""
    try:
        package = SageMakerHosting(cloud.client("sagemaker")).package(package_arn)
    except NotFoundError as error:
        raise click.ClickException(f"the version has been deleted from the registry: {error}") from None
    uri = package.properties.get("evaluation_uri", "")
    episode_id = package.properties.get("episode_id", "")
    return Lineage(
        package,
        if_there(lambda: json.loads(cloud.objects.read(*parse_uri(uri)))) if uri else None,
        # evaluations/<model>/<execution>/evaluation/evaluation.json
        data_set(cloud, model, uri.split("/")[5]) if uri.count("/") >= 5 else None,
        cloud.ledger.episode(model, episode_id) if episode_id else None,
    )


def if_there(read: Callable[[], _Found]) -> _Found | None:
    """What is read; None if it has been deleted."""
    try:
        return read()
    except NotFoundError:
        return None
    except ClientError as error:
        if is_missing(error):
            return None
        raise
