"""The ledger: every move is a conditional write."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from driftloop.aws.ledger import LEASE, DynamoLedger
from driftloop.ports import Ledger, RetryableError, TerminalError, Work
from driftloop.retraining.episode import Status, open_episode
from driftloop.retraining.evidence import Pause, Watch
from driftloop.simulation.fakes import FakeLedger
from tests.contract.conftest import EVERYWHERE
from tests.fakes import examples as ex

HOUR = timedelta(hours=1)
TABLE = "ledger"


def create_table(dynamodb: Any) -> None:
    """As the platform stack makes it."""
    dynamodb.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "model", "KeyType": "HASH"}, {"AttributeName": "item", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("model", "item")],
        BillingMode="PAY_PER_REQUEST",
    )


@pytest.fixture
def ledger(kind: str, aws: Callable[[str], Any]) -> Ledger:
    if kind == "fake":
        return FakeLedger()
    create_table(aws("dynamodb"))
    return DynamoLedger(aws("dynamodb"), TABLE)


@EVERYWHERE
class TestLedger:
    def test_nothing_is_known_at_first(self, ledger: Ledger) -> None:
        assert ledger.champion(ex.NAME) is None
        assert ledger.deployment(ex.NAME) is None
        assert ledger.episode(ex.NAME, "x") is None
        assert ledger.episodes(ex.NAME, ex.START) == []

    def test_a_champion_is_read_as_it_was_written(self, ledger: Ledger) -> None:
        ledger.set_champion(ex.NAME, ex.champion(1))
        ledger.set_champion(ex.NAME, ex.champion(2, previous=ex.champion(1)))
        assert ledger.champion(ex.NAME) == ex.champion(2, previous=ex.champion(1))
        assert ledger.champion("other") is None

    def test_what_has_served_is_remembered(self, ledger: Ledger) -> None:
        first, second = ex.champion(1), ex.champion(2, since=ex.START, previous=ex.champion(1))
        back = ex.champion(1, since=ex.START + timedelta(hours=1), previous=ex.champion(2, since=ex.START))
        for champion in (first, second, second, back):
            ledger.set_champion(ex.NAME, champion)
        ledger.set_champion("other", first)
        ledger.forget(ex.NAME)
        assert ledger.served(ex.NAME) == [first, second, back]
        assert ledger.champion(ex.NAME) is None

    def test_a_deployment_goes_on_only_from_where_it_is(self, ledger: Ledger) -> None:
        first, updating, second = ex.deployment(1, "prepared"), ex.deployment(1, "updating"), ex.deployment(2)
        assert not ledger.set_deployment(ex.NAME, updating, first)
        assert ledger.set_deployment(ex.NAME, first, None)
        assert not ledger.set_deployment(ex.NAME, second, None)
        assert not ledger.set_deployment(ex.NAME, second, updating)
        assert not ledger.set_deployment(ex.NAME, second, ex.deployment(2, "prepared"))
        assert ledger.set_deployment(ex.NAME, updating, first)
        assert ledger.deployment(ex.NAME) == updating
        assert ledger.set_deployment(ex.NAME, second, updating)
        assert ledger.deployment(ex.NAME) == second

    def test_a_claim_takes_the_lease(self, ledger: Ledger) -> None:
        one, two = ex.episode(cause="one"), ex.episode(cause="two")
        assert ledger.claim(one, ex.START)
        assert not ledger.claim(two, ex.START)
        assert ledger.episode(ex.NAME, one.id) == one
        assert ledger.episode(ex.NAME, two.id) is None
        assert ledger.episodes(ex.NAME, ex.START) == [one]

    def test_the_same_claim_twice_is_one(self, ledger: Ledger) -> None:
        assert ledger.claim(ex.episode(), ex.START)
        assert not ledger.claim(ex.episode(), ex.START)
        assert not ledger.claim(ex.episode(), ex.START + 2 * LEASE)
        assert len(ledger.episodes(ex.NAME, ex.START)) == 1

    def test_models_have_leases_of_their_own(self, ledger: Ledger) -> None:
        assert ledger.claim(ex.episode(), ex.START)
        assert ledger.claim(replace(ex.episode(), model="other"), ex.START)

    def test_an_end_gives_the_lease_back(self, ledger: Ledger) -> None:
        one = ex.episode(cause="one")
        ledger.claim(one, ex.START)
        assert ledger.move(one.moved(Status.FAILED, ex.START), Status.REQUESTED)
        assert ledger.claim(ex.episode(cause="two"), ex.START)

    def test_a_move_that_is_no_end_keeps_the_lease(self, ledger: Ledger) -> None:
        one = ex.episode(cause="one")
        ledger.claim(one, ex.START)
        assert ledger.move(one.moved(Status.STARTED, ex.START), Status.REQUESTED)
        assert not ledger.claim(ex.episode(cause="two"), ex.START)

    def test_the_running_episode_is_the_one_that_holds_the_lease(self, ledger: Ledger) -> None:
        assert ledger.busy([]) == {}
        assert ledger.busy([ex.NAME, "other"]) == {}
        one = ex.episode(cause="one")
        ledger.claim(one, ex.START)
        started = one.moved(Status.STARTED, ex.START)
        ledger.move(started, Status.REQUESTED)
        ledger.record(ex.episode(Status.REFUSED, cause="two"))
        assert ledger.busy([ex.NAME, "other"]) == {ex.NAME: Work(started)}
        assert ledger.busy(["other"]) == {}
        elsewhere = replace(ex.episode(), model="other")
        ledger.claim(elsewhere, ex.START)
        assert ledger.busy(["other", ex.NAME]) == {"other": Work(elsewhere), ex.NAME: Work(started)}
        ledger.move(started.moved(Status.FAILED, ex.START), Status.STARTED)
        assert ledger.busy([ex.NAME, "other"]) == {"other": Work(elsewhere)}

    def test_a_lease_that_has_run_out_still_says_what_is_half_done(self, ledger: Ledger) -> None:
        one, two = ex.episode(cause="one"), ex.episode(cause="two", at=ex.START + 2 * LEASE)
        ledger.claim(one, ex.START)
        assert ledger.busy([ex.NAME]) == {ex.NAME: Work(one)}
        ledger.claim(two, ex.START + 2 * LEASE)
        assert ledger.busy([ex.NAME]) == {ex.NAME: Work(two)}

    def test_a_rollout_is_under_way_until_it_has_ended(self, ledger: Ledger) -> None:
        expected = None
        for phase, under_way in (("prepared", True), ("updating", True), ("done", False)):
            deployment = ex.deployment(1, phase)
            assert ledger.set_deployment(ex.NAME, deployment, expected)
            assert ledger.busy([ex.NAME, "other"]) == ({ex.NAME: Work(None, deployment)} if under_way else {})
            expected = deployment
        one = ex.episode()
        ledger.claim(one, ex.START)
        assert ledger.busy([ex.NAME]) == {ex.NAME: Work(one)}
        rolling = replace(ex.deployment(2), endpoint_modified=ex.START)
        assert ledger.set_deployment(ex.NAME, rolling, expected)
        assert ledger.busy([ex.NAME]) == {ex.NAME: Work(one, rolling)}

    def test_a_lease_runs_out_and_its_old_owner_does_not_end_the_new_one(self, ledger: Ledger) -> None:
        one, two = ex.episode(cause="one"), ex.episode(cause="two", at=ex.START + 2 * LEASE)
        ledger.claim(one, ex.START)
        assert not ledger.claim(two, ex.START + LEASE)
        assert ledger.claim(two, ex.START + LEASE + HOUR)
        assert ledger.move(one.moved(Status.FAILED, ex.START), Status.REQUESTED)
        assert not ledger.claim(ex.episode(cause="three"), ex.START + LEASE + HOUR)

    def test_a_clock_that_is_behind_takes_no_lease(self, ledger: Ledger) -> None:
        ledger.claim(ex.episode(cause="one"), ex.START)
        assert not ledger.claim(ex.episode(cause="two"), ex.START - HOUR)

    def test_only_the_expected_status_moves(self, ledger: Ledger) -> None:
        one = ex.episode()
        started = one.moved(Status.STARTED, ex.START)
        assert not ledger.move(started, Status.REQUESTED)  # never recorded
        ledger.claim(one, ex.START)
        assert ledger.move(started, Status.REQUESTED)
        assert not ledger.move(started, Status.REQUESTED)
        assert not ledger.move(one.moved(Status.FAILED, ex.START), Status.REQUESTED)
        assert ledger.episode(ex.NAME, one.id) == started

    def test_a_record_takes_no_lease_and_is_made_once(self, ledger: Ledger) -> None:
        refused = ex.episode(Status.REFUSED)
        assert ledger.record(refused)
        assert not ledger.record(refused)
        assert ledger.claim(ex.episode(cause="other"), ex.START)
        assert ledger.episode(ex.NAME, refused.id) == refused

    def test_episodes_come_oldest_first_since_a_time(self, ledger: Ledger) -> None:
        made = [ex.episode(Status.REFUSED, ex.START + n * HOUR, str(n)) for n in (3, 1, 2, 0)]
        for episode in made:
            ledger.record(episode)
        ledger.record(replace(made[0], model="other", id="x"))
        assert ledger.episodes(ex.NAME, ex.START + HOUR) == [made[1], made[2], made[0]]

    def test_an_episode_is_read_as_it_was_written(self, ledger: Ledger) -> None:
        episode = ex.episode().moved(Status.STARTED, ex.START).moved(Status.FAILED, ex.START + HOUR, "why: \u00fc\n")
        full = replace(
            episode, pipeline_execution_arn="arn:1", model_package_arn="arn:2", by="ann", until=ex.START + HOUR,
            into="e9", revision="a1b2",
        )  # fmt: skip
        ledger.record(full)
        assert ledger.episode(ex.NAME, full.id) == full

    def test_a_pause_lasts_until_it_is_taken_back(self, ledger: Ledger) -> None:
        pause = Pause("ann", ex.START, "stock-taking: \u00fc\n")
        assert ledger.pause(ex.NAME) is None
        ledger.set_pause(ex.NAME, None)  # nothing to take back
        ledger.set_pause(ex.NAME, Pause("bob", ex.START, "first"))
        ledger.set_pause(ex.NAME, pause)
        assert ledger.pause(ex.NAME) == pause
        assert ledger.pause("other") is None
        for _ in range(2):
            ledger.set_pause(ex.NAME, None)
            assert ledger.pause(ex.NAME) is None

    def test_a_watch_is_read_as_it_was_written(self, ledger: Ledger) -> None:
        labelled = {ex.START + n * HOUR: n for n in range(3)}
        watch = Watch(ex.START + HOUR, 3, "broken upstream", ("delay is missing in 100% of rows",), labelled)
        assert ledger.watch(ex.NAME) is None
        ledger.set_watch(ex.NAME, Watch(ex.START, 2, "stable"))
        assert ledger.watch(ex.NAME) == Watch(ex.START, 2, "stable", (), {})
        ledger.set_watch(ex.NAME, watch)
        assert ledger.watch(ex.NAME) == watch
        assert ledger.watch("other") is None

    def test_what_people_and_monitoring_say_is_no_episode(self, ledger: Ledger) -> None:
        ledger.set_pause(ex.NAME, Pause("ann", ex.START, "why"))
        ledger.set_watch(ex.NAME, Watch(ex.START, 1, "stable"))
        assert ledger.episodes(ex.NAME, ex.START - HOUR) == []
        assert ledger.busy([ex.NAME]) == {}
        assert ledger.claim(ex.episode(), ex.START)

    def test_a_forgotten_model_has_its_episodes_only(self, ledger: Ledger) -> None:
        one, pause, watch = ex.episode(cause="one"), Pause("ann", ex.START, "why"), Watch(ex.START, 1, "stable")
        ledger.claim(one, ex.START)
        for model in (ex.NAME, "other"):
            ledger.set_champion(model, ex.champion(3))
            ledger.set_pause(model, pause)
            ledger.set_watch(model, watch)
            assert ledger.set_deployment(model, ex.deployment(3), None)
        for _ in range(2):
            ledger.forget(ex.NAME)
            assert ledger.champion(ex.NAME) is None
            assert ledger.deployment(ex.NAME) is None
            assert ledger.pause(ex.NAME) is None
            assert ledger.watch(ex.NAME) is None
            assert ledger.busy([ex.NAME]) == {}
        assert ledger.episode(ex.NAME, one.id) == one
        assert ledger.claim(ex.episode(cause="two"), ex.START)
        assert (ledger.champion("other"), ledger.deployment("other")) == (ex.champion(3), ex.deployment(3))
        assert (ledger.pause("other"), ledger.watch("other")) == (pause, watch)


def test_many_episodes_are_all_read(aws: Callable[[str], Any]) -> None:
    create_table(aws("dynamodb"))
    ledger = DynamoLedger(aws("dynamodb"), TABLE)
    for number in range(30):  # 1.5 MB: more than one page
        long = replace(ex.episode(Status.REFUSED, cause=str(number)), reason="x" * 50_000)
        ledger.record(long)
    assert len(ledger.episodes(ex.NAME, ex.START)) == 30


class _Frugal:
    """A table that answers at most some keys of a batch and leaves the others, as it may, and counts the calls."""

    def __init__(self, dynamodb: Any, at_once: int) -> None:
        self._dynamodb = dynamodb
        self._at_once = at_once
        self.asked: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dynamodb, name)

    def batch_get_item(self, RequestItems: dict[str, Any]) -> Any:  # noqa: N803 - the API's name
        ((table, request),) = RequestItems.items()
        self.asked.append(len(request["Keys"]))
        now, later = request["Keys"][: self._at_once], request["Keys"][self._at_once :]
        answer = self._dynamodb.batch_get_item(RequestItems={table: {**request, "Keys": now}})
        return {**answer, "UnprocessedKeys": {table: {**request, "Keys": later}} if later else {}}


@pytest.mark.parametrize(
    ("at_once", "asked"),
    [(100, [100] * 5), (60, [100, 40] * 5)],
    ids=["in hundreds", "what was left is asked for again"],
)
def test_what_many_models_are_at(aws: Callable[[str], Any], at_once: int, asked: list[int]) -> None:
    create_table(aws("dynamodb"))
    table = _Frugal(aws("dynamodb"), at_once)
    ledger = DynamoLedger(table, TABLE)
    models = [f"m{number:03d}" for number in range(250)]
    held = {model: replace(ex.episode(), model=model) for model in models[::7]}
    for episode in held.values():
        assert ledger.claim(episode, ex.START)
    rolling = {model: ex.deployment() for model in models[::11]}
    for model, deployment in rolling.items():
        assert ledger.set_deployment(model, deployment, None)
    busy = {
        model: Work(held.get(model), rolling.get(model)) for model in models if model in held.keys() | rolling.keys()
    }
    assert ledger.busy(models) == busy
    assert table.asked == asked


def test_items_of_an_older_version_of_the_kit_are_read(aws: Callable[[str], Any]) -> None:
    """As version 0.1.0 of the kit wrote them: without who asked, until when, into what, and of which revision."""
    create_table(aws("dynamodb"))
    ledger = DynamoLedger(aws("dynamodb"), TABLE)
    content = (
        '{"id":"291302435c31f786ca10","model":"late_train","trigger":"drift","reason":"threshold crossed",'
        '"opened_at":"2026-03-02T00:00:00Z","status":"refused","rule":"cooled_down","outcome":"too early",'
        '"pipeline_execution_arn":"","model_package_arn":"","closed_at":"2026-03-02T00:00:00Z",'
        '"history":[["2026-03-02T00:00:00+00:00","refused"]]}'
    )
    key = "episode#2026-03-02T00:00:00Z#291302435c31f786ca10"
    for item, text in (("id#291302435c31f786ca10", key), (key, content)):
        aws("dynamodb").put_item(
            TableName=TABLE,
            Item={"model": {"S": ex.NAME}, "item": {"S": item}, "content": {"S": text}, "status": {"S": "refused"}},
        )
    expected = open_episode(ex.request(), Status.REFUSED, "cooled_down", "too early")
    assert ledger.episodes(ex.NAME, ex.START) == [expected]
    assert ledger.episode(ex.NAME, expected.id) == expected
    assert (expected.by, expected.until, expected.into, expected.revision) == ("", None, "", "")


def test_a_champion_of_an_older_version_of_the_kit_serves_on(aws: Callable[[str], Any]) -> None:
    """As version 0.1.0 wrote it: of the version before, only the name of its configuration."""
    create_table(aws("dynamodb"))
    champion = ex.champion(2)
    old = {**vars(champion), "since": champion.since.isoformat(), "previous_config": "v1"}
    del old["previous"]
    item = {"model": {"S": ex.NAME}, "item": {"S": "champion"}, "content": {"S": json.dumps(old)}}
    aws("dynamodb").put_item(TableName=TABLE, Item=item)
    assert DynamoLedger(aws("dynamodb"), TABLE).champion(ex.NAME) == champion


def test_a_rollout_of_an_older_version_of_the_kit_goes_on(aws: Callable[[str], Any]) -> None:
    create_table(aws("dynamodb"))
    ledger = DynamoLedger(aws("dynamodb"), TABLE)
    content = (
        f'{{"version":1,"package_arn":"{ex.GROUP_ARN}/1","baseline_uri":"{ex.BASELINE_URI}","config":"{ex.BASE}-v1",'
        '"episode_id":"","started_at":"2026-03-02T00:00:00Z","phase":"updating"}'
    )
    item = {"model": ex.NAME, "item": "deployment", "content": content, "phase": "updating"}
    item["package"] = f"{ex.GROUP_ARN}/1"
    aws("dynamodb").put_item(TableName=TABLE, Item={key: {"S": value} for key, value in item.items()})
    assert ledger.busy([ex.NAME]) == {ex.NAME: Work(None, ex.deployment(1, "updating"))}
    assert ledger.set_deployment(ex.NAME, ex.deployment(1, "done"), ex.deployment(1, "updating"))


class _LeaseTaken:
    """A table where another episode takes the expired lease between the look and the write."""

    def __init__(self, dynamodb: Any) -> None:
        self._dynamodb = dynamodb
        self.rival = ex.episode(cause="rival", at=ex.START + 2 * LEASE)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dynamodb, name)

    def transact_write_items(self, TransactItems: list[dict[str, Any]]) -> Any:  # noqa: N803 - the API's name
        if any("Delete" in item for item in TransactItems):
            assert DynamoLedger(self._dynamodb, TABLE).claim(self.rival, ex.START + 2 * LEASE)
        return self._dynamodb.transact_write_items(TransactItems=TransactItems)


def test_a_lease_that_passes_on_in_that_moment_does_not_stop_the_end(aws: Callable[[str], Any]) -> None:
    create_table(aws("dynamodb"))
    ledger = DynamoLedger(_LeaseTaken(aws("dynamodb")), TABLE)
    one = ex.episode()
    ledger.claim(one, ex.START)
    assert ledger.move(one.moved(Status.FAILED, ex.START), Status.REQUESTED)
    assert not ledger.claim(ex.episode(cause="three"), ex.START + 2 * LEASE)


@pytest.mark.parametrize(
    ("code", "error"),
    [("TransactionConflict", RetryableError), ("ThrottlingError", ClientError), ("None", ClientError)],
)
def test_a_transaction_that_fails_for_another_reason_is_no_answer(code: str, error: type[Exception]) -> None:
    class Failing:
        def transact_write_items(self, **_: Any) -> None:
            response: Any = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": [{"Code": code}]}
            raise ClientError(response, "TransactWriteItems")

    with pytest.raises(error):
        DynamoLedger(Failing(), TABLE).record(ex.episode())


@pytest.mark.parametrize("damage", ["", "{", "null", '{"version": "x"}'])
@pytest.mark.parametrize("item", ["deployment", "lease", "champion", "pause", "watch"])
def test_a_damaged_item_is_named_and_hides_no_other_model(aws: Callable[[str], Any], item: str, damage: str) -> None:
    create_table(aws("dynamodb"))
    ledger = DynamoLedger(aws("dynamodb"), TABLE)
    episode = ex.episode()
    assert ledger.claim(episode, ex.START)
    assert ledger.claim(replace(episode, model="other"), ex.START)
    key = item if item != "lease" else f"episode#2026-03-02T00:00:00Z#{episode.id}"
    damaged = {"model": {"S": ex.NAME}, "item": {"S": key}, "content": {"S": damage}}
    aws("dynamodb").put_item(TableName=TABLE, Item=damaged)
    busy = ledger.busy([ex.NAME, "other"])
    assert busy["other"] == Work(replace(episode, model="other"))
    if item in ("deployment", "lease"):
        assert f"item {key!r} of model 'late_train' in table ledger cannot be read" in busy[ex.NAME].fault
        assert "delete it" in busy[ex.NAME].fault
    else:
        assert busy[ex.NAME] == Work(episode)
        with pytest.raises(TerminalError, match=f"item '{item}' of model 'late_train' in table ledger cannot be read"):
            getattr(ledger, item)(ex.NAME)
