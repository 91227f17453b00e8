"""The benchmark of the gate runs, repeats itself, and says of the deployed gate what it should."""

from __future__ import annotations

import json
import sys

import pytest

from benchmarks import gate


@pytest.fixture
def measured(monkeypatch, capsys):
    def run(*arguments: str) -> dict[str, float]:
        monkeypatch.setattr(sys, "argv", ["gate", "--json", *arguments])
        gate.main()
        return json.loads(capsys.readouterr().out)

    return run


def test_the_gate_is_seldom_wrong(measured):
    found = measured("--trials", "150", "--rows", "400")
    assert found["trials"] == 150
    assert found["equal_promoted"] <= 0.1
    assert found["worse_promoted"] <= 0.05
    assert measured("--trials", "60", "--days", "14")["better_promoted"] >= 0.9


def test_a_margin_below_zero_lets_nothing_pass_that_does_harm(measured):
    found = measured("--trials", "150", "--rows", "400", "--margin", "-0.005")
    assert found["worse_promoted"] <= 0.1
    assert found["much_worse_promoted"] == 0
    assert found["better_promoted"] >= 0.75


def test_a_seed_repeats_the_same_trials(measured):
    once = measured("--trials", "5", "--rows", "100", "--seed", "4")
    assert measured("--trials", "5", "--rows", "100", "--seed", "4") == once
    assert measured("--trials", "5", "--rows", "100", "--seed", "5") != once


def test_pairs_differ_by_what_they_are_said_to(measured):
    pairs = measured("--trials", "100", "--rows", "600")["pairs"]
    for pair in pairs:
        assert pair["measured_gain"] == pytest.approx(pair["gain"], abs=4 * pair["standard_error"] / 10)
