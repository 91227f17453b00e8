"""DynamoDB as the Ledger port. One item collection per model: ``champion``, ``deployment``, ``lease`` and
``episode#<opened>#<id>``, with ``id#<id>`` pointing at an episode by its id."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError
from pydantic import TypeAdapter

from driftloop.data.windows import iso
from driftloop.ports import Champion, Deployment, RetryableError
from driftloop.retraining.episode import Episode, Status

LEASE = timedelta(days=1)
"""A lease older than this belongs to something that died; training itself is limited to hours."""

_EPISODE, _CHAMPION, _DEPLOYMENT = TypeAdapter(Episode), TypeAdapter(Champion), TypeAdapter(Deployment)


class DynamoLedger:
    """The ledger table."""

    def __init__(self, dynamodb: Any, table: str) -> None:
        self._db = dynamodb
        self._table = table

    def champion(self, model: str) -> Champion | None:
        """The version that serves, if any."""
        text = self._text(model, "champion")
        return _CHAMPION.validate_json(text) if text else None

    def set_champion(self, model: str, champion: Champion) -> None:
        """Record that a version serves."""
        self._db.put_item(TableName=self._table, Item=_item(model, "champion", _CHAMPION.dump_json(champion)))

    def deployment(self, model: str) -> Deployment | None:
        """The latest rollout, if any."""
        text = self._text(model, "deployment")
        return _DEPLOYMENT.validate_json(text) if text else None

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
        text = self._text(model, key) if key else None
        return _EPISODE.validate_json(text) if text else None

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
        return [_EPISODE.validate_json(item["content"]["S"]) for page in pages for item in page["Items"]]

    def running(self, model: str) -> Episode | None:
        """The episode that holds the model's lease, if any. No more reads, however long the history."""
        episode_id = self._text(model, "lease")
        return self.episode(model, episode_id) if episode_id else None

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

    def forget(self, model: str) -> None:
        """Delete a model's champion, deployment and lease, all or none; its episodes stay. Raises RetryableError."""
        items = ("champion", "deployment", "lease")
        self._write([{"Delete": {"TableName": self._table, "Key": _key(model, item)}} for item in items])

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
