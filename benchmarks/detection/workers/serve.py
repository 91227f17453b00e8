"""One line of JSON in, one out: ``{"reference": file}`` or ``{"window": file}`` -> ``{"alarm": bool, "reason": text}``."""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd


class Judge(Protocol):
    """One peer with its settings."""

    def fit(self, reference: pd.DataFrame, options: dict[str, Any]) -> None:
        """Take new reference rows."""
        ...

    def judge(self, window: pd.DataFrame) -> tuple[bool, str]:
        """Alarm or not, and why."""
        ...


def read_frame(path: Path) -> pd.DataFrame:
    """Columns of an npz file. Text columns are categories; an empty text is a missing one."""
    with np.load(path) as columns:
        frame = pd.DataFrame({name: columns[name] for name in columns.files})
    texts = [name for name in frame if frame[name].dtype.kind not in "fiuM"]
    frame[texts] = frame[texts].astype(object).replace("", np.nan)
    return frame


def serve(judge: Judge) -> None:
    """Answer until the input ends. A fault of the peer is an answer too."""
    warnings.simplefilter("ignore")
    # Peers print; only answers may go where answers are read.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = _answer(judge, request)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"[:500]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _answer(judge: Judge, request: dict[str, Any]) -> dict[str, Any]:
    if "reference" in request:
        judge.fit(read_frame(Path(request["reference"])), request["options"])
        return {}
    alarm, reason = judge.judge(read_frame(Path(request["window"])))
    return {"alarm": bool(alarm), "reason": reason}
