"""Capture file to Arrow table and to pandas: the quickest reading that the peers' users have."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-not-found]
import pyarrow.compute as pc  # type: ignore[import-not-found]
from pyarrow import csv as arrow_csv
from pyarrow import json as arrow_json

from benchmarks.monitoring_peers.data import CATEGORIES, FEATURES, ID, NUMBERS, TIME

_TYPES = {
    ID: pa.string(),
    TIME: pa.timestamp("s", "UTC"),
    **dict.fromkeys(NUMBERS, pa.float64()),
    **dict.fromkeys(CATEGORIES, pa.string()),
}
_RECORD = pa.schema([("captureData", pa.struct([("endpointInput", pa.struct([("data", pa.string())]))]))])
_BLOCK = 16 * 1024 * 1024


def read_capture(path: Path, columns: Sequence[str] = FEATURES) -> Any:
    """Columns of a capture file as an Arrow table; everything else of the records is skipped while parsing."""
    records = arrow_json.read_json(
        path,
        read_options=arrow_json.ReadOptions(block_size=_BLOCK),
        parse_options=arrow_json.ParseOptions(explicit_schema=_RECORD, unexpected_field_behavior="ignore"),
    )
    return pa.concat_tables(_rows(chunk, columns) for chunk in records["captureData"].chunks)


def _rows(records: Any, columns: Sequence[str]) -> Any:
    texts = records.field("endpointInput").field("data")
    text = pc.binary_join(pa.ListArray.from_arrays([0, len(texts)], texts), "\n")[0].as_buffer()
    return arrow_csv.read_csv(
        pa.BufferReader(text),
        read_options=arrow_csv.ReadOptions(column_names=list(_TYPES), block_size=_BLOCK),
        convert_options=arrow_csv.ConvertOptions(column_types=_TYPES, include_columns=list(columns)),
    ).cast(_schema(columns))


def _schema(columns: Sequence[str]) -> Any:
    """Times in UTC without a zone, as the peers want them."""
    return pa.schema([(name, pa.timestamp("s") if name == TIME else _TYPES[name]) for name in columns])


def read_frame(path: Path, columns: Sequence[str] = FEATURES) -> Any:
    """Columns of a capture file as a pandas frame."""
    return read_capture(path, columns).to_pandas(self_destruct=True)


def read_reference(path: Path, columns: Sequence[str] = FEATURES) -> Any:
    """Columns of ``reference.npz`` as an Arrow table."""
    with np.load(path) as file:
        return pa.table({name: pa.array(file[name], from_pandas=True) for name in columns}, schema=_schema(columns))
