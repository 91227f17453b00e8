"""From which size on Spark pays: ``python -m tests.spark.measure``. No test; the numbers are in docs/guide/backfill.md.

The same parts of captured traffic are rebuilt by one process, as the function does it, and by Spark on this machine. S3
is a folder, so that neither waits for a network.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from driftloop.aws.objects import S3Objects
from driftloop.loop.backfill import Rebuilt, parts, rebuild_part
from driftloop.loop.sources import Source
from pipelines.steps.partitions import OneModel

COPIES = (1, 4, 16)
ROWS = 20_000
"""Rows of one object."""


@dataclass(frozen=True)
class Folder:
    """The two calls of an S3 client that rebuilding makes, on files."""

    place: Path

    def get_object(self, **request: Any) -> dict[str, Any]:
        """Open a file."""
        from botocore.response import StreamingBody  # noqa: PLC0415 - of whichever environment this runs in

        path = self.place / request["Bucket"] / request["Key"]
        return {"Body": StreamingBody(path.open("rb"), path.stat().st_size)}

    def put_object(self, **request: Any) -> None:
        """Write a file."""
        path = self.place / request["Bucket"] / request["Key"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(request["Body"])


@dataclass(frozen=True)
class Work:
    """What an executor does."""

    place: Path
    spec: dict[str, Any]
    uri: str

    def __call__(self, pieces: Any) -> Any:
        """Rebuild parts."""
        objects = S3Objects(Folder(self.place))
        for piece in pieces:
            yield rebuild_part(OneModel(self.spec), objects, self.spec["name"], self.uri, piece)


def on_spark(place: Path) -> None:
    """Below ``spark-submit``: seconds until Spark is there, and until each amount of work is done."""
    from pyspark.sql import SparkSession  # noqa: PLC0415

    begun = time.perf_counter()
    context = SparkSession.builder.getOrCreate().sparkContext
    context.parallelize([0]).count()
    print(json.dumps({"start": time.perf_counter() - begun}))
    for copies, pieces, work in _load(place):
        begun = time.perf_counter()
        done = context.parallelize(pieces, min(len(pieces), 8)).mapPartitions(work).collect()
        print(json.dumps({"copies": copies, "rows": sum(r.rows for r in done), "seconds": time.perf_counter() - begun}))


def alone(place: Path) -> None:
    """The same in this process."""
    for copies, pieces, work in _load(place):
        begun, used = time.perf_counter(), time.process_time()
        done = sum(work(pieces), Rebuilt())
        took, used = time.perf_counter() - begun, time.process_time() - used
        print(json.dumps({"copies": copies, "rows": done.rows, "seconds": took, "cpu_seconds": used}))


def _load(place: Path) -> Any:
    plan = json.loads((place / "plan.json").read_text())
    work = Work(place, plan["spec"], plan["uri"])
    for copies in COPIES:
        found = [Source(**item) for item in plan["sources"][:copies]]
        # One object a part, as hours of steady traffic have it.
        yield copies, [piece for source in found for piece in parts([source])], work


def prepare(place: Path) -> None:
    """Capture objects of a model with 40 numbers and 10 categories, and its baseline."""
    import numpy as np  # noqa: PLC0415

    from driftloop.monitoring.baseline import Windowing, build_baseline  # noqa: PLC0415
    from tests.fakes import examples as ex  # noqa: PLC0415

    features = {f"n{i}": "number" for i in range(40)} | {f"c{i}": "category" for i in range(10)}
    data = {"id": "trip", "time": "departure", "label": "late", "label_delay": "12h", "features": features}
    model = ex.model(data=data)
    rng = np.random.default_rng(1)

    def table(rows: int, days: float, seed: int) -> Any:
        base = ex.traffic(rows, days=days, seed=seed)
        numbers = {f"n{i}": np.round(rng.normal(size=rows), 4) for i in range(40)}
        names = {f"c{i}": rng.choice(list("abcdefgh"), rows).astype(object) for i in range(10)}
        return {name: base[name] for name in ("trip", "departure", "score", "late")} | numbers | names

    columns = table(6000, 30, 99)
    weights = dict.fromkeys(features, 1.0)
    baseline = build_baseline(model.schema, columns, columns, weights, Windowing(86400, 20, 2, 0.01, 7))
    uri = f"s3://{ex.ARTIFACTS}/{ex.BASELINE_KEY}"
    Folder(place).put_object(Bucket=ex.ARTIFACTS, Key=ex.BASELINE_KEY, Body=baseline.to_json())
    content = _capture(table(ROWS, 0.04, 7), model.schema)
    sources = []
    for number in range(max(COPIES)):
        key = f"capture/{ex.BASE}/AllTraffic/2026/03/02/00/{number:03d}.jsonl"
        Folder(place).put_object(Bucket=ex.LIVE, Key=key, Body=content)
        sources.append({"bucket": ex.LIVE, "key": key, "version": None, "etag": str(number), "size": len(content)})
    plan = {"spec": dict(model.spec), "uri": uri, "sources": sources}
    (place / "plan.json").write_text(json.dumps(plan))
    print(json.dumps({"object_bytes": len(content), "object_rows": ROWS}))


def _capture(columns: Any, schema: Any, per_record: int = 10) -> bytes:
    from tests.fakes import examples as ex  # noqa: PLC0415

    cells = [columns[name].astype(str).tolist() for name in schema.payload]
    lines = [",".join(row) for row in zip(*cells, strict=True)]
    scores = columns["score"].astype(str).tolist()
    places = range(0, len(lines), per_record)
    return b"".join(
        ex.record("\n".join(lines[a : a + per_record]), "\n".join(scores[a : a + per_record])) for a in places
    )


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["prepare", folder]:
            prepare(Path(folder))
        case ["alone", folder]:
            alone(Path(folder))
        case ["spark", folder]:
            on_spark(Path(folder))
        case _:
            sys.exit("python -m tests.spark.measure prepare|alone|spark FOLDER")
