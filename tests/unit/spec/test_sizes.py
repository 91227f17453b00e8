"""Amounts of data in a model file."""

from __future__ import annotations

import pytest

from driftloop.spec.model import ModelSpec
from driftloop.spec.sizes import parse_size, write_size
from tests.fakes import examples as ex


@pytest.mark.parametrize(("text", "size"), [("500MB", 5 * 10**8), ("20 GB", 2 * 10**10), ("1TB", 10**12)])
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("value", ["20", "20gb", "0GB", "-1GB", "1.5GB", "20GiB", 20, None, ""])
def test_anything_else_is_refused_with_a_hint(value: object) -> None:
    with pytest.raises(ValueError, match="is not a size; write a whole number and a unit, such as 500MB"):
        parse_size(value)


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 kB"), (1500, "1.5 kB"), (2 * 10**7, "20 MB"), (123456789012, "123 GB"), (10**12, "1 TB")]
)
def test_sizes_for_people(size: int, text: str) -> None:
    assert write_size(size) == text


def test_a_model_file_compiles_it_to_bytes() -> None:
    assert ex.spec(monitoring={"spark_above": "20GB", "smoothing": 2})["monitoring"]["spark_above"] == 20 * 10**9
    assert ex.spec()["monitoring"]["spark_above"] is None


def test_a_name_that_another_model_s_pipeline_may_have_is_refused() -> None:
    with pytest.raises(ValueError, match="'fraud_profile' ends like the pipelines that profile"):
        ModelSpec.model_validate(ex.raw_spec(name="fraud_profile"))
