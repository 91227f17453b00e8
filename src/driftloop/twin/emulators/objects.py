"""S3 in ministack: keys in order, so that listing a prefix does not walk through the whole bucket; and a stack that
does not take data with it when it is deleted."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from typing import Any

from ministack.core.responses import AccountScopedDict
from ministack.services import s3
from ministack.services.cloudformation import provisioners


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

    def __setitem__(self, key: str, value: Any) -> None:
        if key not in self:
            insort(self._keys, key)
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


def install() -> None:
    """Keep the keys of buckets in order from now on."""
    collect = s3._collect_list_entries

    def collect_below(objects: dict[str, Any], prefix: str, *rest: Any) -> Any:
        below = dict.fromkeys(objects.below(prefix)) if isinstance(objects, OrderedKeys) else objects
        return collect(below, prefix, *rest)

    handlers = provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"]
    handlers["delete"] = _only_if_empty(handlers["delete"])
    s3._buckets.__class__ = _Buckets
    s3._collect_list_entries = collect_below


def _only_if_empty(delete: Callable[[str, Any], None]) -> Callable[[str, Any], None]:
    def guarded(name: str, properties: Any) -> None:
        bucket = s3._buckets.get(name)
        if bucket and (bucket["objects"] or s3._bucket_has_versions(name)):
            # ministack would drop the data without a word.
            raise ValueError(f"The bucket you tried to delete is not empty. You must delete all versions in {name}.")
        delete(name, properties)

    return guarded
