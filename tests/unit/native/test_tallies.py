"""Compiled counting gives what numpy gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftloop.data.columns import Texts
from driftloop.monitoring import moments, sample
from driftloop.monitoring.bins import NumericBins, fit_numeric
from driftloop.monitoring.moments import NO_MOMENTS, Moments, moments_of, tally_numbers
from driftloop.monitoring.sample import sample_values
from driftloop.native.lines import line_ends, line_hashes
from driftloop.native.tallies import tally

FLOATS = st.floats(allow_infinity=False, width=64)
NEAR = st.floats(-100, 100).map(lambda value: round(value, 1))


@settings(max_examples=300, deadline=None)
@given(st.lists(FLOATS | NEAR, min_size=1, max_size=40), st.lists(FLOATS | NEAR | st.just(np.nan), max_size=40))
def test_cells_and_moments_are_those_of_numpy(training: list[float], values: list[float]) -> None:
    bins, live = fit_numeric(np.array(training)), np.array(values, dtype=np.float64)
    [(counts, found)] = tally_numbers([(bins, live)])
    np.testing.assert_array_equal(counts, bins.count(live))
    assert found == moments_of(bins, live)


@pytest.mark.parametrize("count", [0, 1, 3, 4, 1023, 1024, 1025, 5000])
def test_any_number_of_values(count: int) -> None:
    values = np.random.default_rng(1).normal(size=count)
    values[::7] = np.nan
    bins = fit_numeric(np.random.default_rng(2).normal(size=500))
    [(counts, found)] = tally_numbers([(bins, values)])
    assert counts.sum() == count
    np.testing.assert_array_equal(counts, bins.count(values))
    assert found == moments_of(bins, values)


def test_sums_that_would_not_be_exact_are_not_given() -> None:
    large, small = np.array([1e12, 1.0]), np.array([1e6, 1.0])
    steps = [found.steps for found in tally([(values, np.array([0.0]), 0.0, 1.0) for values in (large, small)])]
    assert steps == [None, (1_000_001, 10**12 + 1)]
    [(_, found)] = tally_numbers([(NumericBins((0.0,)), large)])
    assert found == Moments(2, 1.0, 1e12, 10**12 + 1, 10**24 + 1)


def test_nothing_but_missing_values() -> None:
    [(counts, found)] = tally_numbers([(NumericBins((0.0, 1.0)), np.array([np.nan] * 3))])
    assert counts.tolist() == [0, 0, 0, 3]
    assert found == NO_MOMENTS


@pytest.mark.parametrize("zeros", [[0.0, -0.0], [-0.0, 0.0], [-0.0]])
def test_zero_has_no_sign(zeros: list[float]) -> None:
    for found in (
        tally_numbers([(NumericBins((-1.0, 1.0)), np.array(zeros))])[0][1],
        moments_of(NumericBins((-1.0, 1.0)), np.array(zeros)),
    ):
        assert repr(found) == repr(Moments(len(zeros), 0.0, 0.0, 0, 0))


def test_values_of_a_part_of_a_table() -> None:
    table = np.arange(20.0).reshape(10, 2)
    [found] = tally([(table[:, 1], np.array([4.0]), 0.0, 1.0)])
    assert found.counts.tolist() == [2, 8, 0]


def test_columns_with_any_number_of_cells() -> None:
    values = np.array([0.5, 2.5, np.nan])
    found = tally([(values, np.array(edges), 0.0, 1.0) for edges in ([0.0, 1.0, 2.0], [], [3.0])])
    assert [one.counts.tolist() for one in found] == [[0, 1, 0, 1, 1], [2, 1], [2, 0, 1]]
    assert tally([]) == []


def test_without_compiled_code(monkeypatch: pytest.MonkeyPatch) -> None:
    bins, values = NumericBins((0.0, 1.0)), np.array([0.5, 2.0, np.nan])
    names = np.array(["a", "b", "a", "Zürich", "two\nlines", "\ud800"], dtype=object)
    compiled = tally_numbers([(bins, values)]), sample_values(names)
    monkeypatch.setattr(moments, "_COMPILED", False)
    monkeypatch.setattr(sample, "line_hashes", None)
    [(counts, found)], kept = tally_numbers([(bins, values)]), sample_values(names)
    np.testing.assert_array_equal(compiled[0][0][0], counts)
    assert (compiled[0][0][1], compiled[1]) == (found, kept)
    assert kept.counts["a"] == 2


@given(st.lists(st.text(max_size=5).filter(lambda text: "\n" not in text), min_size=1, max_size=9))
def test_lines_and_their_hashes(texts: list[str]) -> None:
    content = "\n".join(texts).encode("utf-8", "replace")
    hashes = line_hashes(content, len(texts))
    assert hashes is not None
    assert hashes.tolist() == [sample.zlib.crc32(text.encode("utf-8", "replace")) for text in texts]
    assert line_hashes(content, len(texts) + 1) is None
    assert line_hashes(content + b"\n", len(texts)) is None
    assert line_ends(content) == len(texts) - 1


@given(st.lists(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=3), min_size=1, max_size=200))
def test_text_that_is_no_objects_is_sampled_alike(texts: list[str]) -> None:
    content = "\n".join(texts).encode()
    ends = np.flatnonzero(np.frombuffer(content + b"\n", np.uint8) == ord("\n"))
    assert sample_values(Texts(content, ends)) == sample_values(np.array(texts, dtype=object))
