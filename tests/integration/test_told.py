"""Every move is told on the account's bus, by each function with its own role; nobody is refused anything."""

from __future__ import annotations

import json
from typing import Any

import pytest

from driftloop.loop.announce import EPISODE_CHANGED, VERSION_CHANGED
from driftloop.retraining.episode import Episode
from infra.function_catalog import FUNCTIONS

from .examples import TRAIN, TRAM
from .kit import Kit

WHO = {
    "start_retraining": {"requested", "started"},
    "deploy_model": {"approved", "rolling_out"},
    "confirm_deployment": {"promoted"},
}
"""Function -> what only it tells of while a first version comes to serve."""


@pytest.fixture(scope="module")
def first(served: Kit) -> Episode:
    return served.episodes(TRAIN)[0]


def _moves(kit: Kit, episode: Episode) -> list[dict[str, Any]]:
    return [event for event in kit.heard(EPISODE_CHANGED) if event["episode"] == episode.id]


@pytest.mark.parametrize("function", sorted(WHO))
def test_moves_are_told_by_the_function_that_makes_them(served: Kit, first: Episode, function: str) -> None:
    assert {move["status"] for move in _moves(served, first)} >= WHO[function]


def test_each_move_of_the_ledger_is_told_once(served: Kit, first: Episode) -> None:
    moves = _moves(served, first)
    assert sorted(move["status"] for move in moves) == sorted(status for _, status in first.history)
    assert {(move["model"], move["trigger"]) for move in moves} == {(TRAIN, "manual")}
    last = next(move for move in moves if move["status"] == "promoted")
    assert last["model_package_arn"] == first.model_package_arn
    assert last["pipeline_execution_arn"] == first.pipeline_execution_arn


def test_the_version_that_serves_is_told(served: Kit, first: Episode) -> None:
    told = [event for event in served.heard(VERSION_CHANGED) if event["model"] == TRAIN]
    assert {"model": TRAIN, "version": 1, "model_package_arn": first.model_package_arn} in told


def test_a_failed_step_is_told_by_track_episode(kit: Kit) -> None:
    episode = kit.retrain(TRAM, "to see it fail")
    assert [move["status"] for move in _moves(kit, episode)] == ["requested", "started", "failed"]


def test_reconcile_looks_after_all_models_with_one_read_of_their_leases(kit: Kit) -> None:
    answer = kit.client("lambda").invoke(FunctionName="driftloop-reconcile", Payload=b"{}")
    assert json.loads(answer["Payload"].read())["failed"] == {}


def test_no_function_was_refused_anything(served: Kit, first: Episode) -> None:
    for function in FUNCTIONS:
        refusals = [line for line in served.log(function.name).splitlines() if "AccessDenied" in line]
        assert not refusals, f"{function.name}: {refusals[0]}"
    assert f"episode {first.id}" in served.log("start_retraining"), "these are the logs"
