"""Runs below ``spark-submit``: writes tables as Parquet and profiles each with the step; the results as JSON."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql import functions as f
from pyspark.sql.types import DoubleType, LongType, StringType, StructField, StructType

from pipelines.steps.profile_spark import main

SPLITS = (1, 3, 7)


def write(folder: Path, rows: list[list[object]]) -> dict[str, Path]:
    """Tables of the same rows in different splits, and tables that have faults."""
    session = SparkSession.builder.config("spark.sql.session.timeZone", "UTC").getOrCreate()
    kinds = {
        "trip": StringType(),
        "seconds": LongType(),
        "line": StringType(),
        "delay": DoubleType(),
        "score": DoubleType(),
    }
    frame = session.createDataFrame(rows, StructType([StructField(name, kind) for name, kind in kinds.items()]))
    frame = frame.withColumn("departure", f.timestamp_seconds("seconds")).drop("seconds")
    tables = {str(split): frame.repartition(split) for split in SPLITS}
    tables["texts"] = frame.withColumn("departure", f.date_format("departure", "yyyy-MM-dd'T'HH:mm:ss'Z'"))
    tables["unscored"] = frame.drop("score")
    tables["narrow"] = frame.drop("delay")
    tables["faulty"] = frame.withColumn("score", f.col("score") + f.when(f.col("line") == "north", 2).otherwise(0))
    for name, table in tables.items():
        table.write.parquet(str(folder / name))
    session.stop()
    return {name: folder / name for name in tables}


def profiled(spec: str, baseline: str, table: Path) -> dict[str, object]:
    """Exit status, what was said, and the profile if there is one."""
    said, out = io.StringIO(), table.with_name(f"{table.name}-profile")
    arguments = ["--spec", spec, "--baseline", baseline, "--source", str(table), "--live-bucket", "none"]
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        status = main([*arguments, "--profile", str(out), "--message", str(out / "message")])
    file = out / "profile.json"
    return {
        "status": status,
        "said": said.getvalue(),
        "written": json.loads(file.read_text()) if file.exists() else None,
        "at": datetime.now(UTC).isoformat(),
    }


if __name__ == "__main__":
    where, rows_file, spec, baseline = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4]
    found = write(where, json.loads(rows_file.read_text()))
    results = {name: profiled(spec, baseline, table) for name, table in found.items()}
    (where / "results.json").write_text(json.dumps(results))
