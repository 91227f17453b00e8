"""Model archives, without trusting what is in them. Pure but for the files that it writes."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path


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
