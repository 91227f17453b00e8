"""The compiled library, which ``python -m infra.native`` builds beside this file."""

from __future__ import annotations

import ctypes
from pathlib import Path

LIBRARY = Path(__file__).with_name("libdriftloop.so")

try:
    library = ctypes.CDLL(str(LIBRARY))
except OSError as error:
    raise ImportError(f"{error}; build it with python -m infra.native") from error
