"""Past traffic is counted again through queue and function, and what does not fit the twin is refused in words."""

from __future__ import annotations

from .examples import BEGIN, TRAIN
from .kit import Kit

RANGE = ("--from", f"{BEGIN:%Y-%m-01}", "--to", f"{BEGIN:%Y}-05-01")


def _results(kit: Kit) -> dict[str, bytes]:
    keys = [key for prefix in ("shards", "rows", "quarantine/capture") for key in kit.keys(f"{prefix}/{TRAIN}/")]
    return {key: kit.read(key) for key in keys}


def test_lost_shards_are_there_again(served: Kit) -> None:
    before = _results(served)
    assert before
    counted = served.metric(TRAIN, "RowsCounted")
    for key in before:
        served.client("s3").delete_object(Bucket=served.bucket("live"), Key=key)
    said = served.done("backfill", TRAIN, *RANGE, "--wait")
    assert "rebuilt" in said
    assert _rows(_results(served)) == _rows(before)
    assert served.metric(TRAIN, "RowsCounted") == counted, "counted as if it had arrived again"
    assert served.waiting("backfill") == served.waiting("backfill-dlq") == 0


def _rows(results: dict[str, bytes]) -> set[bytes]:
    """Decoded rows with the objects they came from; files hold those of one batch, and an hour is another batch."""
    return {line for key, content in results.items() if key.startswith("rows/") for line in content.splitlines()[1:]}


def test_rebuilding_again_changes_nothing(served: Kit) -> None:
    before = _results(served)
    served.done("backfill", TRAIN, *RANGE, "--wait")
    assert _results(served) == before


def test_the_twin_says_that_it_has_no_spark(served: Kit) -> None:
    result = served.run("backfill", TRAIN, *RANGE, "--engine", "spark", "--wait")
    assert result.exit_code == 1
    assert "the Spark job ended as Failed: Profile: " in result.output
    assert "sagemaker-spark-processing:3.5-cpu-py312-v1.0" in result.output
    assert "sagemaker-scikit-learn" in result.output, "what it can run instead"
