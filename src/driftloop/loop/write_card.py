"""A pipeline has registered a version: say in its model card what it is, before a person has to decide about it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from driftloop.data.archives import ArchiveError, read_members
from driftloop.names import model_of_endpoint, parse_uri
from driftloop.ports import Hosting, Ledger, Models, NotFoundError, Objects, Package, Pipelines, TerminalError
from driftloop.promotion.card import Facts, is_written, model_card, write

_PENDING = "PendingManualApproval"
_LOOKED_INTO = 128 * 1024 * 1024
"""Bytes of an unpacked archive: its record may come last, and the function has little time."""
_RECORD, _SPEC = "training.json", "spec.json"


@dataclass(frozen=True)
class CardWriter:
    """Writes each card once. Whoever calls must not depend on it: what is wrong with a card is wrong with nothing else."""

    models: Models
    ledger: Ledger
    pipelines: Pipelines
    hosting: Hosting
    objects: Objects
    curated_bucket: str

    def write(self, execution_arn: str) -> str:
        """Write the card of the version that an execution registered; says what was done.

        Raises TerminalError if somebody has decided about the version: the registry knows whoever changed it last, and that
        must stay the person who decided.
        """
        arn = self.pipelines.registered(execution_arn)
        if not arn:
            return "no version was registered"
        package = self._undecided(arn)
        content = "" if is_written(package.card) else write(model_card(self._facts(package)))
        # Once more: to read an archive takes seconds, in which a person may decide or write a card.
        if not content or is_written(self._undecided(arn).card):
            return f"version {package.version} has a card"
        self.hosting.attach_card(arn, content)
        return f"version {package.version} has its card"

    def _undecided(self, arn: str) -> Package:
        package = self.hosting.package(arn)
        if package.approval != _PENDING and package.decided_by not in ("", package.registered_by):
            raise TerminalError(f"version {package.version} is {package.approval} by {package.decided_by} already")
        return package

    def _facts(self, package: Package) -> Facts:
        model = self.models.get(model_of_endpoint(package.group))
        evaluation_uri = package.properties.get("evaluation_uri", "")
        # s3://<bucket>/evaluations/<model>/<execution>/evaluation.json
        execution = evaluation_uri.split("/")[5] if evaluation_uri.count("/") > 5 else ""
        made = self._archive(package.model_data_url)
        place = f"s3://{self.curated_bucket}/datasets/{model.name}/{execution}/manifest/manifest.json"
        return Facts(
            spec=model.spec,
            properties=package.properties,
            model_data_url=package.model_data_url,
            image=package.image,
            evaluation=self._evaluation(evaluation_uri),
            training=made.get(_RECORD, {}),
            made_with=made.get(_SPEC, {}),
            asked=self._asked(model.name, package.properties.get("episode_id", "")),
            data_uri=place if execution else "",
        )

    def _asked(self, model: str, episode_id: str) -> dict[str, str]:
        episode = self.ledger.episode(model, episode_id) if episode_id else None
        return {"asked_by": episode.by, "reason": episode.reason, "code": episode.revision} if episode else {}

    def _evaluation(self, uri: str) -> Mapping[str, Any]:
        try:
            found: Mapping[str, Any] = json.loads(self.objects.read(*parse_uri(uri))) if uri else {}
        except NotFoundError:
            return {}  # deleted since
        return found

    def _archive(self, uri: str) -> dict[str, Any]:
        try:
            blocks = self.objects.blocks(*parse_uri(uri))
            members = read_members(blocks, (_RECORD, _SPEC), _LOOKED_INTO)
            return {name: json.loads(content) for name, content in members.items()}
        except (NotFoundError, ArchiveError, ValueError):
            return {}  # deleted since, or not made by this pipeline
