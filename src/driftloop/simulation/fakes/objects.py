"""Object storage in memory, with versions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from driftloop.ports import NotFoundError, Stored

_BLOCK = 1000


class FakeObjects:
    """Buckets as dictionaries; ``reads`` counts how often each key was read."""

    def __init__(self) -> None:
        self._versions: dict[tuple[str, str], list[bytes]] = {}
        self.reads: Counter[str] = Counter()

    def read(self, bucket: str, key: str) -> bytes:
        """A whole object. Raises NotFoundError."""
        return self._get(bucket, key, None)

    def blocks(self, bucket: str, key: str, version: str | None = None) -> Iterator[bytes]:
        """Content of an object in small blocks, which end anywhere. Raises NotFoundError."""
        content = self._get(bucket, key, version)
        yield from (content[place : place + _BLOCK] for place in range(0, len(content), _BLOCK))

    def write(self, bucket: str, key: str, content: bytes) -> None:
        """Create or replace an object."""
        self._versions.setdefault((bucket, key), []).append(content)

    def create(self, bucket: str, key: str, content: bytes) -> bool:
        """Create an object. False, and nothing is changed, if there is one."""
        if (bucket, key) in self._versions:
            return False
        self.write(bucket, key, content)
        return True

    def copy(self, bucket: str, key: str, to: str) -> None:
        """Create or replace an object with the content of another one. Raises NotFoundError."""
        self.write(bucket, to, self._get(bucket, key, None))

    def keys(self, bucket: str, prefix: str) -> list[str]:
        """Keys below a prefix, sorted."""
        return sorted(key for where, key in self._versions if where == bucket and key.startswith(prefix))

    def latest(self, bucket: str, prefix: str) -> list[Stored]:
        """The objects below a prefix, sorted by key."""
        found = ((key, self._versions[bucket, key]) for key in self.keys(bucket, prefix))
        return [Stored(key, str(len(versions) - 1), len(versions[-1])) for key, versions in found]

    def put(self, bucket: str, key: str, content: bytes) -> str:
        """As a client would: write an object and get its version."""
        self.write(bucket, key, content)
        return str(len(self._versions[bucket, key]) - 1)

    def _get(self, bucket: str, key: str, version: str | None) -> bytes:
        self.reads[key] += 1
        versions = self._versions.get((bucket, key), [])
        try:
            return versions[int(version) if version else -1]
        except IndexError:
            raise NotFoundError(f"s3://{bucket}/{key} does not exist") from None
