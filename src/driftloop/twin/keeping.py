"""The twin's state on disk, so that a twin that was killed goes on where it was.

Pictures are taken by forked copies of the process: a copy sees one moment as a whole, and writes it down while the twin
goes on. Whoever asks from outside gets the answer when a picture holds what it tells. Functions, jobs and models die with
their twin, so what they have done since the last picture is as if it had never been, and is done again.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import hashlib
import os
import pickle
import signal
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from driftloop.twin.activity import WHOLE, Activity

FOLDER = "kept"
_STATE, _PORT, _NOTES, _BODIES = "state", "port", "notes.", "bodies"
_SMALL = 4096
"""Bodies up to this size are part of the picture."""
_SHARE = 20
"""While nobody waits for a picture, the next one is taken when this many times the last one's duration has passed."""
_SHORTEST_SECONDS = 1.0
_PDEATHSIG = 1
_prctl = ctypes.CDLL(None).prctl


class KeepingError(Exception):
    """The state could not be written or cannot be read."""


@dataclass(frozen=True)
class Kept:
    """What was found on disk."""

    now: float
    """Virtual time at which it goes on."""
    states: Mapping[str, Any]
    notes: tuple[Any, ...]
    """What has happened after the picture and was noted, oldest first."""


_NAMED: set[str] = set()
"""Files of bodies that the picture which was read names."""


class Body(bytes):
    """Content that is in a file of its own, too; pictures only name it."""

    path: str

    def __reduce__(self) -> tuple[Any, ...]:
        return _read_body, (self.path,)


def _read_body(path: str) -> Body:
    body = Body(Path(path).read_bytes())
    body.path = path
    _NAMED.add(path)
    return body


def port_of(folder: Path) -> int | None:
    """The port that the twin whose state is kept in this folder listened on; None if none is kept."""
    try:
        return int((folder / FOLDER / _PORT).read_text()) if (folder / FOLDER / _STATE).exists() else None
    except (FileNotFoundError, ValueError):
        return None


class Keeper:
    """Takes the pictures."""

    def __init__(self, folder: Path, port: int, activity: Activity) -> None:
        self._folder, self._activity = folder / FOLDER, activity
        self.parts: Mapping[str, Callable[[], Any]] = {}
        """What is kept; called in a copy of the process in which no other thread runs."""
        self._number = 0
        self._running: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None
        self._seconds = 0.0
        self.changes = 0
        """Requests that may have changed something since the twin began."""
        self._covered = (-1, -1)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        (self._folder / _BODIES).mkdir(exist_ok=True)
        (self._folder / _PORT).write_text(str(port))

    def load(self) -> Kept | None:
        """What was kept, if anything. Raises KeepingError for what others could have written."""
        path = self._folder / _STATE
        if not path.exists():
            return None
        found = self._folder.stat()
        if found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise KeepingError(f"{self._folder} is open to others; `chmod 700` it if it is your own")
        picture = pickle.loads(path.read_bytes())  # noqa: S301 - our own, in a folder that nobody else may write to
        for body in (self._folder / _BODIES).iterdir():
            if str(body) not in _NAMED:
                body.unlink()
        later = [number for number in self._noted() if number >= picture["number"]]
        stamped = [note for number in later for note in self._read_notes(number)]
        # The next picture comes after all of them, even after those for a picture that was never finished.
        self._number = max([picture["number"], *later])
        return Kept(
            max([picture["now"], *(at for at, _ in stamped)]), picture["states"], tuple(note for _, note in stamped)
        )

    def body(self, content: bytes) -> bytes:
        """The same content; if it is long, it is written to a file at once."""
        if len(content) <= _SMALL or isinstance(content, Body):
            return content
        path = self._folder / _BODIES / hashlib.blake2b(content, digest_size=20).hexdigest()
        body = Body(content)
        body.path = str(path)
        if not path.exists():
            fresh = path.with_suffix(f".{threading.get_ident()}")
            fresh.write_bytes(content)
            fresh.replace(path)
        return body

    def note(self, value: Any) -> None:
        """Keep a small thing at once, without a picture. The caller holds WHOLE, so it is in the next picture."""
        with (self._folder / f"{_NOTES}{self._number}").open("ab") as file:
            file.write(pickle.dumps((time.time(), value)))

    def is_behind(self) -> bool:
        """True if the last picture may lack something that can be seen by now."""
        return self._activity.running > 0 or self._covered != (self.changes, self._activity.begun)

    async def keep(self) -> None:
        """Wait until all that has happened so far is on disk. Raises KeepingError."""
        if self._next is None:
            self._next = asyncio.create_task(self._picture(self._running))
        await asyncio.shield(self._next)

    async def keep_on(self) -> None:
        """Take a picture now and then while things change, so that a long journey through time is not lost."""
        seen = -1
        while True:
            await asyncio.sleep(max(_SHORTEST_SECONDS, _SHARE * self._seconds))
            if seen != self.changes:
                seen = self.changes
                with contextlib.suppress(KeepingError):  # the copy has told why, and who waits is told as well
                    await self.keep()

    async def _picture(self, before: asyncio.Task[None] | None) -> None:
        if before is not None and not before.done():
            await asyncio.wait({before})
        # Who comes from now on needs another one.
        self._running, self._next = self._next, None
        begun, covers = time.perf_counter(), (self.changes, self._activity.begun)
        pid = self._fork()
        _, status = await asyncio.to_thread(os.waitpid, pid, 0)
        self._seconds = time.perf_counter() - begun
        if status:
            raise KeepingError("the twin's state could not be saved; see twin.log")
        self._covered = covers

    def _fork(self) -> int:
        with WHOLE:
            self._number += 1
            with warnings.catch_warnings():
                # Python warns that other threads' locks stay held in the copy; it takes none of them.
                warnings.simplefilter("ignore", DeprecationWarning)
                parent, pid = os.getpid(), os.fork()
        if pid == 0:
            self._write(parent)
        return pid

    def _write(self, parent: int) -> NoReturn:
        status = 1
        try:
            # Nothing of the original's may be cleaned up here.
            gc.disable()
            # Nor may a picture appear after the twin's end, when another one may have begun.
            _prctl(_PDEATHSIG, signal.SIGKILL)
            if os.getppid() == parent:
                states = {name: state() for name, state in self.parts.items()}
                picture = {"number": self._number, "now": time.time(), "states": states}
                fresh = self._folder / f"{_STATE}.new"
                with fresh.open("wb") as file:
                    pickle.dump(picture, file, protocol=pickle.HIGHEST_PROTOCOL)
                fresh.replace(self._folder / _STATE)
                self._forget_notes()
                status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def _forget_notes(self) -> None:
        for number in self._noted():
            if number < self._number:
                (self._folder / f"{_NOTES}{number}").unlink(missing_ok=True)

    def _noted(self) -> list[int]:
        return sorted(int(path.name.removeprefix(_NOTES)) for path in self._folder.glob(f"{_NOTES}*"))

    def _read_notes(self, number: int) -> Iterator[tuple[float, Any]]:
        with (self._folder / f"{_NOTES}{number}").open("rb") as file:
            while True:
                try:
                    yield pickle.load(file)  # noqa: S301 - as above
                except (EOFError, pickle.UnpicklingError):
                    return  # the end, or a note that was being written: nobody was told of it
