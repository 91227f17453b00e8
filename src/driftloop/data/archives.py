"""Model archives, without trusting what is in them. Pure but for the files that it writes."""

from __future__ import annotations

import io
import math
import shutil
import tarfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, cast


class ArchiveError(ValueError):
    """An archive that cannot be opened, or not safely; the message is the reason."""


def extract_archive(content: bytes, folder: Path) -> None:
    """Extract files and folders of a tar.gz. Raises ArchiveError for links, devices and paths that lead out.

    The standard library's own filter does the same, but early releases of Python 3.11, which Debian 12 has, lack it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            for member in archive:
                _extract(archive, member, folder.resolve())
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ArchiveError(str(error) or type(error).__name__) from error


def read_members(blocks: Iterator[bytes], names: Collection[str], most: float = math.inf) -> dict[str, bytes]:
    """Some files of a tar.gz that comes in blocks, as far as they are there; it is read no further than needed.

    Args:
        most: bytes of the unpacked archive after which nothing is looked for any more.

    Raises ArchiveError for what is no archive.
    """
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=cast("IO[bytes]", _Stream(blocks)), mode="r|gz") as archive:
            for member in archive:
                if member.offset_data + member.size > most:
                    break
                name = member.name.removeprefix("./")
                file = archive.extractfile(member) if name in names else None
                if file is not None:
                    found[name] = file.read()
                if len(found) == len(names):
                    break
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ArchiveError(str(error) or type(error).__name__) from error
    return found


class _Stream:
    """Blocks as a file that can only be read on."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks, self._rest = blocks, b""

    def read(self, size: int) -> bytes:
        """Up to so many bytes; none at the end."""
        if not self._rest:
            self._rest = next(self._blocks, b"")
        block, self._rest = self._rest[:size], self._rest[size:]
        return block


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    target = (folder / member.name.lstrip("/")).resolve()
    if not target.is_relative_to(folder):
        raise ArchiveError(f"{member.name!r} would be written outside")
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    source = archive.extractfile(member) if member.isfile() else None
    if source is None:
        raise ArchiveError(f"{member.name!r} is neither a file nor a folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    with source, target.open("wb") as file:
        shutil.copyfileobj(source, file)
