"""The compiled library, which ``python -m infra.native`` builds beside this file."""

from __future__ import annotations

import ctypes
import warnings

from driftloop.native import DIGEST, LIBRARY, digest


def _load() -> ctypes.CDLL:
    try:
        # What is called must be whole and of this source: calling it would not tell.
        if LIBRARY.with_name(DIGEST).read_text(encoding="ascii") == digest(LIBRARY):
            return ctypes.CDLL(str(LIBRARY))
        fault = f"{LIBRARY} is not what its source gives"
    except OSError as error:
        fault = str(error)
    fault = f"{fault}: build it with python -m infra.native"
    if LIBRARY.exists():
        warnings.warn(f"reading captures is slow, {fault}", stacklevel=2)
    raise ImportError(fault)


library = _load()
