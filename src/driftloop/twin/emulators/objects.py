"""S3 in ministack: keys in order, so that listing a prefix does not walk through the whole bucket; and a stack that
does not take data with it when it is deleted."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from typing import Any

from ministack.core.responses import AccountScopedDict
from ministack.services import s3
from ministack.services.cloudformation import provisioners

from driftloop.twin.storage import split_uri


class _Bodies:
    keep: Callable[[bytes], bytes] = staticmethod(lambda content: content)


_BODIES = _Bodies()


class OrderedKeys(dict[str, Any]):
    """Objects of a bucket by key, with the keys also in order."""

    def __init__(self, objects: dict[str, Any]) -> None:
        super().__init__(objects)
        self._keys = sorted(objects)

    def below(self, prefix: str) -> Iterator[str]:
        """Keys that begin with a prefix, in order."""
        for place in range(bisect_left(self._keys, prefix), len(self._keys)):
            if not self._keys[place].startswith(prefix):
                break
            yield self._keys[place]

    def __reduce__(self) -> tuple[Any, ...]:
        return OrderedKeys, (dict(self),)

    def __setitem__(self, key: str, value: Any) -> None:
        if key not in self:
            insort(self._keys, key)
        if value.get("body"):
            value["body"] = _BODIES.keep(value["body"])
        super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        del self._keys[bisect_left(self._keys, key)]

    def pop(self, key: str, *default: Any) -> Any:
        """As a dictionary's."""
        if key in self:
            del self._keys[bisect_left(self._keys, key)]
        return super().pop(key, *default)

    def clear(self) -> None:
        """As a dictionary's."""
        super().clear()
        self._keys.clear()

    def _unsupported(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError("this change would leave the order of keys behind")

    setdefault = update = popitem = _unsupported


class _Buckets(AccountScopedDict):
    __slots__ = ()

    def __setitem__(self, name: str, bucket: dict[str, Any]) -> None:
        super().__setitem__(name, {**bucket, "objects": OrderedKeys(bucket["objects"])})

    def setdefault(self, name: str, default: Any = None) -> Any:
        """As a dictionary's. CloudFormation makes its buckets this way."""
        if name not in self:
            self[name] = default
        return self[name]


def install(keep_body: Callable[[bytes], bytes] | None = None) -> None:
    """Keep the keys of buckets in order from now on, and the bodies of objects as ``keep_body`` gives them back."""
    if keep_body:
        _BODIES.keep = keep_body
    collect, entry = s3._collect_list_entries, s3._version_entry_from_record

    def collect_below(objects: dict[str, Any], prefix: str, *rest: Any) -> Any:
        below = dict.fromkeys(objects.below(prefix)) if isinstance(objects, OrderedKeys) else objects
        return collect(below, prefix, *rest)

    def entry_of(record: dict[str, Any], version_id: str, data: Any) -> Any:
        # The object and its version share their content.
        return entry(record, version_id, record["body"] if record.get("body") == data else data)

    handlers = provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"]
    handlers["delete"] = _only_if_empty(handlers["delete"])
    s3._buckets.__class__ = _Buckets
    s3._collect_list_entries = collect_below
    s3._version_entry_from_record = entry_of


def exists(uri: str) -> bool:
    """True if there is an object with this URI."""
    bucket, key = split_uri(uri)
    return key in s3._buckets.get(bucket, {}).get("objects", {})


def _only_if_empty(delete: Callable[[str, Any], None]) -> Callable[[str, Any], None]:
    def guarded(name: str, properties: Any) -> None:
        bucket = s3._buckets.get(name)
        if bucket and (bucket["objects"] or s3._bucket_has_versions(name)):
            # ministack would drop the data without a word.
            raise ValueError(f"The bucket you tried to delete is not empty. You must delete all versions in {name}.")
        delete(name, properties)

    return guarded
