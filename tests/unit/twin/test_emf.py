"""Embedded metrics: what CloudWatch would count, and that no line of a log can do harm."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftloop.twin.emf import Datum, metrics_of


def record(**changes: Any) -> dict[str, Any]:
    directive = {
        "Namespace": "driftloop",
        "Dimensions": [["Model"]],
        "Metrics": [{"Name": "InputDrift", "Unit": "None"}, {"Name": "Rows", "Unit": "Count"}],
    }
    header = {"Timestamp": 1_700_000_000_500, "CloudWatchMetrics": [directive | changes.pop("directive", {})]}
    return {"_aws": header | changes.pop("header", {}), "Model": "m", "InputDrift": 1.25, "Rows": [1, 2]} | changes


def parse(*records: Any) -> list[Datum]:
    return list(metrics_of(r if isinstance(r, str) else json.dumps(r) for r in records))


def test_a_record_becomes_one_datum_a_metric() -> None:
    assert parse(record()) == [
        Datum("driftloop", "InputDrift", {"Model": "m"}, 1_700_000_000.5, "None", (1.25,)),
        Datum("driftloop", "Rows", {"Model": "m"}, 1_700_000_000.5, "Count", (1.0, 2.0)),
    ]


def test_every_set_of_dimensions_and_every_directive_counts() -> None:
    found = parse(record(directive={"Dimensions": [["Model"], ["Model", "Region"], []]}, Region="r"))
    assert [dict(datum.dimensions) for datum in found[::2]] == [{"Model": "m"}, {"Model": "m", "Region": "r"}, {}]


def test_a_unit_may_be_left_out_and_dimensions_are_text() -> None:
    found = parse(record(directive={"Metrics": [{"Name": "InputDrift"}]}, Model=7))
    assert (found[0].unit, dict(found[0].dimensions)) == ("None", {"Model": "7"})


HOSTILE = {
    "no JSON": '{"_aws": ',
    "another line": "START RequestId: 1",
    "a list": '["_aws"]',
    "a text": '"_aws \\"_aws\\""',
    "no header": record() | {"_aws": None},
    "header is a list": record() | {"_aws": [1]},
    "no timestamp": record() | {"_aws": {"CloudWatchMetrics": record()["_aws"]["CloudWatchMetrics"]}},
    "timestamp is text": record(header={"Timestamp": "now"}),
    "endless timestamp": json.dumps(record()).replace("1700000000500", "9" * 400),
    "no directives": record(header={"CloudWatchMetrics": 5}),
    "missing value": record(directive={"Metrics": [{"Name": "Absent"}]}),
    "missing dimension": record(directive={"Dimensions": [["Absent"]]}),
    "value is text": record(InputDrift="high"),
    "value is numeric text": record(InputDrift="1.5"),
    "value is true": record(InputDrift=True),
    "value is null": record(InputDrift=None),
    "value is a record": record(InputDrift={"a": 1}),
    "value is not a number": record(InputDrift=float("nan")),
    "value is infinite": record(InputDrift=float("inf")),
    "value has no end": json.dumps(record()).replace("1.25", "9" * 400),
    "namespace is a list": record(directive={"Namespace": ["x"]}),
    "metric name is a number": record(directive={"Metrics": [{"Name": 5}]}),
    "unit is a list": record(directive={"Metrics": [{"Name": "InputDrift", "Unit": ["s"]}]}),
    "dimensions are text": record(directive={"Dimensions": 4}),
    "too deep": '{"_aws":' + "[" * 200_000 + "]" * 200_000 + "}",
}


@pytest.mark.parametrize("line", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_lines_are_skipped_whole_and_the_next_one_still_counts(line: Any) -> None:
    assert parse(line) == []
    assert parse(line, record()) == parse(record())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(place=st.sampled_from(["header", "directive", "root"]), key=st.text(max_size=12), value=json_values)
def test_nothing_in_a_record_raises(place: str, key: str, value: Any) -> None:
    names = {"header": ["Timestamp", "CloudWatchMetrics"], "directive": ["Namespace", "Dimensions", "Metrics"], "root": ["Model", "Rows"]}  # fmt: skip
    for name in (*names[place], key):
        changed = record(**({name: value} if place == "root" else {place: {name: value}}))
        for datum in parse(changed):
            assert isinstance(datum.namespace, str)
            assert all(abs(number) < float("inf") for number in datum.values)
