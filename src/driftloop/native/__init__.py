"""Code that is compiled (``*.zig``) and called through ctypes, which gives the interpreter's lock away meanwhile.

Whoever uses it does without where it is not built, as in SageMaker's containers: its modules raise ImportError there.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

SOURCE = Path(__file__).parent
LIBRARY = SOURCE / "libdriftloop.so"
DIGEST = f"{LIBRARY.name}.sha256"
"""Name of the file beside a library that says what it was made from."""


def digest(library: Path) -> str:
    """Of a library and the source that it should have been made from."""
    found = hashlib.sha256(library.read_bytes())
    for source in sorted(SOURCE.glob("*.zig")):
        found.update(source.read_bytes())
    return found.hexdigest()
