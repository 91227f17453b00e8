"""DynamoDB as the Ledger port. One item collection per model: ``champion``, ``deployment``, ``lease``, ``pause``, ``watch``,
``served#<since>#<version>`` and ``episode#<opened>#<id>``, with ``id#<id>`` pointing at an episode by its id."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from botocore.exceptions import ClientError
from pydantic import TypeAdapter, ValidationError

from driftloop.data.windows import iso
from driftloop.ports import Champion, Deployment, RetryableError, TerminalError, Work
from driftloop.retraining.episode import Episode, Status
from driftloop.retraining.evidence import Pause, Watch

LEASE = timedelta(days=1)
"""A lease older than this belongs to something that died; training itself is limited to hours."""

_KEYS = 100
"""Items that one BatchGetItem takes."""

_Kept = TypeVar("_Kept")
_EPISODE, _CHAMPION, _DEPLOYMENT = TypeAdapter(Episode), TypeAdapter(Champion), TypeAdapter(Deployment)
_PAUSE, _WATCH = TypeAdapter(Pause), TypeAdapter(Watch)


class DynamoLedger:
    """The ledger table."""

    def __init__(self, dynamodb: Any, table: str) -> None:
        self._db = dynamodb
        self._table = table

    def champion(self, model: str) -> Champion | None:
        """The version that serves, if any."""
        return self._read(_CHAMPION, model, "champion")

    def set_champion(self, model: str, champion: Champion) -> None:
        """Record that a version serves, from when on; it is remembered when another one does."""
        content = _CHAMPION.dump_json(champion)
        items = ("champion", f"served#{iso(champion.since)}#{champion.version:06}")
        self._write([{"Put": {"TableName": self._table, "Item": _item(model, item, content)}} for item in items])

    def served(self, model: str) -> list[Champion]:
        """Every version that has served and since when, oldest first."""
        pages = self._db.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="#m = :m AND begins_with(#i, :p)",
            ExpressionAttributeNames={"#m": "model", "#i": "item"},
            ExpressionAttributeValues={":m": {"S": model}, ":p": {"S": "served#"}},
        )
        items = (item for page in pages for item in page["Items"])
        return [self._parse(_CHAMPION, model, item["item"]["S"], item["content"]["S"]) for item in items]

    def deployment(self, model: str) -> Deployment | None:
        """The latest rollout, if any."""
        return self._read(_DEPLOYMENT, model, "deployment")

    def set_deployment(self, model: str, deployment: Deployment, expected: Deployment | None) -> bool:
        """Record a rollout or its next phase if the latest one is still as expected."""
        item = _item(model, "deployment", _DEPLOYMENT.dump_json(deployment))
        item |= {"package": {"S": deployment.package_arn}, "phase": {"S": deployment.phase}}
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(package)"}
        if expected:
            values = {":package": {"S": expected.package_arn}, ":phase": {"S": expected.phase}}
            condition = {
                "ConditionExpression": "package = :package AND phase = :phase",
                "ExpressionAttributeValues": values,
            }
        return self._write([{"Put": {"TableName": self._table, "Item": item, **condition}}])

    def episode(self, model: str, episode_id: str) -> Episode | None:
        """One episode."""
        key = self._text(model, f"id#{episode_id}")
        return self._read(_EPISODE, model, key) if key else None

    def episodes(self, model: str, since: datetime) -> list[Episode]:
        """Episodes opened at or after a time, oldest first."""
        pages = self._db.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="#m = :m AND #i BETWEEN :a AND :b",
            ExpressionAttributeNames={"#m": "model", "#i": "item"},
            ExpressionAttributeValues={
                ":m": {"S": model},
                ":a": {"S": f"episode#{iso(since)}"},
                ":b": {"S": "episode#~"},
            },
            ConsistentRead=True,
        )
        items = [(item["item"]["S"], item["content"]["S"]) for page in pages for item in page["Items"]]
        return [self._parse(_EPISODE, model, item, text) for item, text in items]

    def busy(self, models: Sequence[str]) -> dict[str, Work]:
        """Model -> what is under way; idle models are not in it. Reads do not grow with the history."""
        texts: dict[str, dict[str, str]] = {}
        keys = [(model, item) for model in models for item in ("lease", "deployment")]
        for start in range(0, len(keys), _KEYS):
            for model, item, text in self._texts(keys[start : start + _KEYS]):
                texts.setdefault(model, {})[item] = text
        found = {model: self._work(model, items) for model, items in texts.items()}
        return {model: work for model, work in found.items() if work != Work()}

    def _work(self, model: str, items: Mapping[str, str]) -> Work:
        """What is under way for one model; damaged items of one must not hide the others."""
        try:
            episode = self.episode(model, items["lease"]) if "lease" in items else None
            text = items.get("deployment")
            deployment = self._parse(_DEPLOYMENT, model, "deployment", text) if text is not None else None
        except TerminalError as error:
            return Work(fault=str(error))
        return Work(episode, deployment if deployment and deployment.is_open else None)

    def claim(self, episode: Episode, now: datetime) -> bool:
        """Record a new episode and take the model's lease, both or neither."""
        lease = _item(episode.model, "lease", episode.id.encode())
        lease["expires"] = {"S": iso(now + LEASE)}
        free = {
            "ConditionExpression": "attribute_not_exists(#i) OR #e < :now",
            "ExpressionAttributeNames": {"#i": "item", "#e": "expires"},
            "ExpressionAttributeValues": {":now": {"S": iso(now)}},
        }
        return self._write([*self._new(episode), {"Put": {"TableName": self._table, "Item": lease, **free}}])

    def record(self, episode: Episode) -> bool:
        """Record an episode that never runs (refused). False if it exists already."""
        return self._write(self._new(episode))

    def move(self, episode: Episode, expected: Status) -> bool:
        """Write an episode's next status if it is still as expected; a final one gives the lease back."""
        write = {
            "Put": {
                "TableName": self._table,
                "Item": _episode_item(episode),
                "ConditionExpression": "#s = :s",
                "ExpressionAttributeNames": {"#s": "status"},
                "ExpressionAttributeValues": {":s": {"S": expected}},
            }
        }
        release = self._release(episode)
        # An expired lease may pass to another episode just now; then there is nothing to give back.
        return self._write([write, *release]) or (bool(release) and self._write([write]))

    def pause(self, model: str) -> Pause | None:
        """Who stopped retraining, if anybody did."""
        return self._read(_PAUSE, model, "pause")

    def set_pause(self, model: str, pause: Pause | None) -> None:
        """Stop retraining, or let it go on."""
        if pause is None:
            self._db.delete_item(TableName=self._table, Key=_key(model, "pause"))
        else:
            self._db.put_item(TableName=self._table, Item=_item(model, "pause", _PAUSE.dump_json(pause)))

    def watch(self, model: str) -> Watch | None:
        """What monitoring saw last, if it saw anything."""
        return self._read(_WATCH, model, "watch")

    def set_watch(self, model: str, watch: Watch) -> None:
        """Record what monitoring saw."""
        self._db.put_item(TableName=self._table, Item=_item(model, "watch", _WATCH.dump_json(watch)))

    def forget(self, model: str) -> None:
        """Delete what is kept of a model but its episodes and what has served, all or none. Raises RetryableError."""
        items = ("champion", "deployment", "lease", "pause", "watch")
        self._write([{"Delete": {"TableName": self._table, "Key": _key(model, item)}} for item in items])

    def _texts(self, keys: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str, str]]:
        """(model, item, content) of those items that are there."""
        wanted: Mapping[str, Any] = {self._table: {"Keys": [_key(*key) for key in keys], "ConsistentRead": True}}
        while wanted:
            answer = self._db.batch_get_item(RequestItems=wanted)
            for item in answer["Responses"].get(self._table, ()):
                yield item["model"]["S"], item["item"]["S"], item["content"]["S"]
            # What one call could not read for its size or rate.
            wanted = answer.get("UnprocessedKeys") or {}

    def _release(self, episode: Episode) -> list[dict[str, Any]]:
        """The deletion of the lease that an ended episode still holds."""
        if not episode.status.is_final or self._text(episode.model, "lease") != episode.id:
            return []
        delete = {
            "TableName": self._table,
            "Key": _key(episode.model, "lease"),
            "ConditionExpression": "#c = :id",
            "ExpressionAttributeNames": {"#c": "content"},
            "ExpressionAttributeValues": {":id": {"S": episode.id}},
        }
        return [{"Delete": delete}]

    def _new(self, episode: Episode) -> list[dict[str, Any]]:
        pointer = _item(episode.model, f"id#{episode.id}", _sort_key(episode).encode())
        absent = {"ConditionExpression": "attribute_not_exists(#i)", "ExpressionAttributeNames": {"#i": "item"}}
        return [
            {"Put": {"TableName": self._table, "Item": item, **absent}} for item in (pointer, _episode_item(episode))
        ]

    def _write(self, writes: list[dict[str, Any]]) -> bool:
        try:
            self._db.transact_write_items(TransactItems=writes)
        except ClientError as error:
            reasons = {reason.get("Code") for reason in error.response.get("CancellationReasons", ())}
            if "ConditionalCheckFailed" in reasons:
                return False
            if "TransactionConflict" in reasons:
                raise RetryableError("another function writes the same entry of the ledger just now") from error
            raise
        return True

    def _read(self, kind: TypeAdapter[_Kept], model: str, item: str) -> _Kept | None:
        text = self._text(model, item)
        return self._parse(kind, model, item, text) if text is not None else None

    def _parse(self, kind: TypeAdapter[_Kept], model: str, item: str, text: str) -> _Kept:
        try:
            return kind.validate_json(text)
        except ValidationError as error:
            fault = error.errors()[0]
            place = ".".join(map(str, fault["loc"]))
            raise TerminalError(
                f"item {item!r} of model {model!r} in table {self._table} cannot be read: "
                f"{f'{place}: ' if place else ''}{fault['msg']}; correct it, or delete it if it is no longer needed"
            ) from error

    def _text(self, model: str, item: str) -> str | None:
        answer = self._db.get_item(TableName=self._table, Key=_key(model, item), ConsistentRead=True)
        return answer["Item"]["content"]["S"] if "Item" in answer else None


def _key(model: str, item: str) -> dict[str, Any]:
    return {"model": {"S": model}, "item": {"S": item}}


def _item(model: str, item: str, content: bytes) -> dict[str, Any]:
    return {**_key(model, item), "content": {"S": content.decode()}}


def _sort_key(episode: Episode) -> str:
    return f"episode#{iso(episode.opened_at)}#{episode.id}"


def _episode_item(episode: Episode) -> dict[str, Any]:
    item = _item(episode.model, _sort_key(episode), _EPISODE.dump_json(episode))
    return {**item, "status": {"S": str(episode.status)}}
