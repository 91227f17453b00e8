"""A window is judged on each object once."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from driftloop.data.schema import Columns
from driftloop.loop.baselines import load_baseline
from driftloop.monitoring.baseline import Windowing, build_baseline
from driftloop.monitoring.profile import profile_columns
from driftloop.monitoring.report import DriftReport, Verdict
from driftloop.ports import NotFoundError, TerminalError
from driftloop.simulation.fakes import FakeObjects
from tests.fakes import examples as ex
from tests.unit.loop.world import World

DAY = timedelta(days=1)
REPORT = f"reports/{ex.NAME}/2026-03-02T00:00:00Z.json"


@pytest.fixture
def world() -> World:
    made = World()
    made.serve()
    return made


def _detect(world: World) -> DriftReport:
    report = world.detector.detect(ex.NAME, world.clock.now())
    assert report is not None
    return report


def test_a_stable_window(world: World) -> None:
    world.profile(world.captured(ex.traffic(100, seed=3)))
    report = _detect(world)
    assert (report.verdict, report.rows, report.version) == (Verdict.STABLE, 100, 1)
    assert json.loads(world.objects.read(ex.LIVE, REPORT))["verdict"] == "stable"


def test_a_shifted_window(world: World) -> None:
    world.profile(world.captured(_two_days(shift=10)))
    assert _detect(world).verdict is Verdict.SHIFTED


def _two_days(seed: int = 0, shift: float = 0.0) -> Columns:
    """The judged window and the one before it."""
    return ex.traffic(200, ex.START - DAY, days=2, seed=seed, shift=shift)


def test_drift_is_judged_on_several_windows_together(world: World) -> None:
    world.profile(world.captured(_two_days(seed=3)))
    report = _detect(world)
    assert report.rows == 100
    merged = profile_columns(ex.baseline().bins, _two_days(seed=3), ex.SCHEMA)
    assert report.input_drift == pytest.approx(ex.baseline().judge_inputs(merged).score)
    assert report.prediction_drift == pytest.approx(ex.baseline().judge_predictions(merged).score)


def test_a_window_that_was_broken_is_left_out(world: World) -> None:
    before = ex.traffic(100, ex.START - DAY, seed=1)
    before["delay"] = np.full(100, np.nan)
    world.profile(world.captured(before, "a"), world.captured(ex.traffic(100, seed=2), "b"))
    report = _detect(world)
    alone = profile_columns(ex.baseline().bins, ex.traffic(100, seed=2), ex.SCHEMA)
    assert report.verdict is Verdict.STABLE
    assert report.input_drift == pytest.approx(ex.baseline().judge_inputs(alone, 1 / 2).score)


@pytest.mark.parametrize(("hours", "seen"), [(1, 1), (30, 1), (49, 2), (71, 2)])
def test_a_new_version_is_judged_once_it_has_seen_enough_windows(world: World, hours: int, seen: int) -> None:
    world.models = type(world.models)(ex.model(monitoring={"window": "1d", "min_rows": 20, "smoothing": 3}))
    world.ledger.set_champion(ex.NAME, ex.champion(2, since=ex.START + DAY - timedelta(hours=hours)))
    world.profile(world.captured(ex.traffic(300, ex.START - 2 * DAY, days=3, shift=10)))
    report = _detect(world)
    assert report.verdict is Verdict.NOT_ENOUGH_DATA
    assert report.reasons == [f"version 2 has seen {seen} of the 3 windows that drift is judged on"]


def test_the_first_span_that_is_all_the_versions_own(world: World) -> None:
    world.profile(world.captured(_two_days(shift=10)))
    world.ledger.set_champion(ex.NAME, ex.champion(2, since=ex.START - DAY + timedelta(seconds=1)))
    assert _detect(world).input_drift is None
    world.ledger.set_champion(ex.NAME, ex.champion(2, since=ex.START - DAY))
    assert (_detect(world).input_drift or 0) > 1


def test_a_window_from_before_a_promotion_is_judged_by_the_version_that_served_it(world: World) -> None:
    world.profile(world.captured(_two_days(shift=10)))
    promoted = ex.START + DAY + timedelta(minutes=20)
    next_one = replace(ex.champion(2, promoted, ex.champion(1)), baseline_uri=f"s3://{ex.ARTIFACTS}/other.json")
    world.ledger.set_champion(ex.NAME, next_one)
    report = _detect(world)
    assert (report.version, report.rows, report.verdict, report.superseded) == (1, 100, Verdict.SHIFTED, True)
    assert json.loads(world.objects.read(ex.LIVE, REPORT))["superseded"]


def test_the_window_in_which_a_version_began_is_its_own(world: World) -> None:
    world.profile(world.captured(_two_days()))
    world.ledger.set_champion(ex.NAME, ex.champion(2, ex.START + timedelta(hours=23), ex.champion(1)))
    assert (_detect(world).version, _detect(world).superseded) == (2, False)


def test_without_a_version_there_is_nothing_to_judge() -> None:
    assert World().detector.detect(ex.NAME, ex.START) is None


def test_without_traffic_there_is_not_enough_data(world: World) -> None:
    report = _detect(world)
    assert (report.verdict, report.rows, report.features) == (Verdict.NOT_ENOUGH_DATA, 0, [])


def test_an_object_counts_once_whatever_batches_it_was_delivered_in(world: World) -> None:
    one, two = world.captured(ex.traffic(30, seed=1), "a"), world.captured(ex.traffic(30, seed=2), "b")
    world.profile(one)
    world.profile(one, two)
    world.profile(two)
    assert _detect(world).rows == 60


def test_an_object_that_spans_midnight_counts_on_both_days(world: World) -> None:
    world.profile(world.captured(ex.traffic(80, days=2)))
    assert _detect(world).rows == 40
    world.clock.advance(days=1)
    assert _detect(world).rows == 40


def test_only_the_hours_of_the_window_count() -> None:
    world = World()
    world.models = type(world.models)(ex.model(monitoring={"window": "6h", "min_rows": 20, "smoothing": 2}))
    world.serve()
    world.profile(world.captured(ex.traffic(96)))
    world.clock.time = ex.START + timedelta(hours=13)
    report = _detect(world)
    assert (report.rows, report.window.start) == (24, ex.START + timedelta(hours=6))


def test_a_missing_baseline_is_an_error_and_no_verdict(world: World) -> None:
    gone = replace(ex.champion(), baseline_uri="s3://artifact-bucket/gone.json")
    world.ledger.set_champion(ex.NAME, gone)
    with pytest.raises(NotFoundError, match=r"gone\.json"):
        _detect(world)
    assert world.objects.keys(ex.LIVE, "reports/") == []


def test_profiles_of_another_baseline_do_not_mix(world: World) -> None:
    world.profile(world.captured(ex.traffic(50)))
    columns = ex.traffic(6000, days=30, seed=1)
    other = build_baseline(ex.SCHEMA, columns, columns, {"line": 1, "delay": 1}, Windowing(86400, 20, 2, 0.01, 7))
    world.objects.write(ex.ARTIFACTS, "other.json", other.to_json())
    world.ledger.set_champion(ex.NAME, replace(ex.champion(2), baseline_uri=f"s3://{ex.ARTIFACTS}/other.json"))
    assert _detect(world).rows == 0


def _label_two_days(world: World) -> None:
    """The two windows before the one that is judged have labels."""
    columns = ex.traffic(400, ex.START - timedelta(days=1), days=2)
    world.clock.time = ex.START + timedelta(days=1, hours=14)
    world.profile(world.captured(columns))
    world.join(world.arrived(f"labels/{ex.NAME}/a.jsonl", ex.labels(columns)))


def test_quality_is_judged_when_labels_are_there(world: World) -> None:
    _label_two_days(world)
    report = _detect(world)
    assert report.labelled_rows == 400
    assert report.quality_loss is not None
    assert 0 < report.quality_loss < 1


def test_a_label_file_that_was_delivered_twice_counts_once(world: World) -> None:
    _label_two_days(world)
    again = world.arrived(f"labels/{ex.NAME}/b.jsonl", ex.labels(ex.traffic(400, ex.START - timedelta(days=1), days=2)))
    world.join(again)
    assert len(world.objects.keys(ex.LIVE, "labelled/")) == 4
    assert _detect(world).labelled_rows == 400


def test_quality_waits_until_all_windows_are_the_champions(world: World) -> None:
    world.ledger.set_champion(ex.NAME, ex.champion(2, since=ex.START))
    _label_two_days(world)
    assert _detect(world).quality_loss is None


def test_few_labels_say_nothing(world: World) -> None:
    columns = ex.traffic(19)
    world.profile(world.captured(columns))
    world.clock.advance(hours=13)
    world.join(world.arrived(f"labels/{ex.NAME}/a.jsonl", ex.labels(columns)))
    assert (_detect(world).labelled_rows, _detect(world).quality_loss) == (0, None)


def test_a_warm_function_reads_each_labelled_file_once(world: World) -> None:
    _label_two_days(world)
    first = _detect(world)
    before = world.objects.reads.copy()
    assert _detect(world).to_dict() == first.to_dict()
    files = world.objects.keys(ex.LIVE, "labelled/")
    assert all(world.objects.reads[key] == before[key] == 1 for key in files)


def test_a_broken_feed_publishes_no_scores(world: World) -> None:
    columns = ex.traffic(100)
    columns["delay"] = np.full(100, np.nan)
    world.profile(world.captured(columns))
    report = _detect(world)
    assert report.verdict is Verdict.BROKEN_UPSTREAM
    assert report.input_drift is report.prediction_drift is report.quality_loss is None


def _broken(start: datetime, name: str = "a") -> tuple[Columns, str]:
    columns = ex.traffic(100, start)
    columns["delay"] = np.full(100, np.nan)
    return columns, name


def test_people_are_told_when_a_feed_breaks(world: World) -> None:
    world.profile(world.captured(*_broken(ex.START)))
    _detect(world)
    ((subject, message),) = world.notifier.messages
    assert subject == "[driftloop] late_train: broken upstream"
    assert "Version 1 of late_train, traffic from 2026-03-02T00:00:00Z to 2026-03-03T00:00:00Z:" in message
    assert "- delay is missing in 100% of rows (usually 0.0%)" in message
    assert "driftloop retrain late_train" in message


def test_people_are_told_once_while_it_stays_broken(world: World) -> None:
    for number in range(3):
        world.profile(world.captured(*_broken(ex.START + number * DAY, str(number))))
    for _ in range(3):
        assert _detect(world).verdict is Verdict.BROKEN_UPSTREAM
        assert _detect(world).verdict is Verdict.BROKEN_UPSTREAM  # the same call, repeated
        world.clock.advance(days=1)
    assert len(world.notifier.messages) == 1


def test_people_are_told_again_when_it_breaks_again(world: World) -> None:
    world.profile(world.captured(*_broken(ex.START)), world.captured(ex.traffic(100, ex.START + DAY), "b"))
    world.profile(world.captured(*_broken(ex.START + 2 * DAY, "c")))
    verdicts = []
    for _ in range(3):
        verdicts.append(_detect(world).verdict)
        world.clock.advance(days=1)
    assert verdicts == [Verdict.BROKEN_UPSTREAM, Verdict.STABLE, Verdict.BROKEN_UPSTREAM]
    assert len(world.notifier.messages) == 2


def test_no_other_verdict_is_told(world: World) -> None:
    _detect(world)
    world.profile(world.captured(_two_days(shift=10)))
    assert _detect(world).verdict is Verdict.SHIFTED
    assert world.notifier.messages == []


def test_a_message_that_could_not_be_sent_is_sent_by_the_next_try(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.profile(world.captured(*_broken(ex.START)))

    def fail(*_: str) -> None:
        raise ConnectionError("no way to the topic")

    with monkeypatch.context() as patch:
        patch.setattr(world.notifier, "publish", fail)
        with pytest.raises(ConnectionError):
            _detect(world)
    _detect(world)
    assert len(world.notifier.messages) == 1


@pytest.mark.parametrize("first", ["wrong", "right"])
def test_of_contradicting_labels_the_last_upload_counts(world: World, first: str) -> None:
    columns = _two_days(seed=3)
    world.profile(world.captured(columns))
    uploads = {
        "right": world.arrived(f"labels/{ex.NAME}/right.jsonl", ex.labels(columns), "2026-03-03T00:20:00.000Z"),
        "wrong": world.arrived(
            f"labels/{ex.NAME}/wrong.jsonl",
            ex.labels({**columns, "late": 1 - columns["late"]}),
            "2026-03-03T00:10:00.000Z",
        ),
    }
    for name in sorted(uploads, key=lambda name: name != first):
        world.join(uploads[name])
    world.clock.advance(hours=12)
    report = _detect(world)
    assert report.labelled_rows == 200
    assert report.coverage == 1
    assert (report.quality_loss or 0) < 1
    positives = sum(int(quality.outcomes.positives.sum()) for quality in report.restated)
    assert positives == int(columns["late"].sum())


def test_quality_is_restated_as_labels_arrive(world: World) -> None:
    columns = _two_days(seed=3)
    world.profile(world.captured(columns))
    world.clock.advance(hours=12)
    half = {name: values[::2] for name, values in columns.items()}
    world.join(world.arrived(f"labels/{ex.NAME}/a.jsonl", ex.labels(half)))
    first = _detect(world).to_dict()["restated"]
    assert [quality["coverage"] for quality in first] == [0.5, 0.5]
    world.join(world.arrived(f"labels/{ex.NAME}/b.jsonl", ex.labels(columns)))
    second = _detect(world).to_dict()["restated"]
    assert [(quality["rows"], quality["labelled_rows"]) for quality in second] == [(100, 100), (100, 100)]
    assert second[0]["observed"]["log_loss"] != first[0]["observed"]["log_loss"]


def test_labels_of_a_broken_window_do_not_speak_of_the_model(world: World) -> None:
    columns = _two_days(seed=3)
    columns["delay"][:90] = np.nan
    world.profile(world.captured(columns))
    world.clock.advance(hours=12)
    world.join(world.arrived(f"labels/{ex.NAME}/a.jsonl", ex.labels(columns)))
    report = _detect(world)
    assert report.labelled_rows == 100
    assert [quality.outcomes.total for quality in report.restated] == [100, 100]


@pytest.mark.parametrize("content", [b"", b'{"ver', b"[]", b"{}", b"\xff"])
def test_an_earlier_report_that_cannot_be_read_does_not_keep_a_fault_secret(world: World, content: bytes) -> None:
    world.objects.write(ex.LIVE, REPORT, content)
    world.profile(world.captured(*_broken(ex.START)))
    assert _detect(world).verdict is Verdict.BROKEN_UPSTREAM
    assert len(world.notifier.messages) == 1
    assert json.loads(world.objects.read(ex.LIVE, REPORT))["verdict"] == Verdict.BROKEN_UPSTREAM


@pytest.mark.parametrize("content", [b"", b"null", b'[{"object": "a"}]', b"[" * 100_000, b'[{"object":'])
def test_shards_that_cannot_be_read_are_named(world: World, content: bytes) -> None:
    world.profile(world.captured(ex.traffic(100, seed=3)))
    (key,) = world.objects.keys(ex.LIVE, "shards/")
    world.objects.write(ex.LIVE, key, content)
    with pytest.raises(TerminalError, match=f"{key} holds no shards"):
        _detect(world)


def test_labelled_rows_that_cannot_be_read_are_named(world: World) -> None:
    columns = ex.traffic(100, seed=3)
    world.profile(world.captured(columns))
    world.join(world.arrived(f"labels/{ex.NAME}/a.jsonl", ex.labels(columns)))
    (key,) = world.objects.keys(ex.LIVE, "labelled/")
    world.objects.write(ex.LIVE, key, world.objects.read(ex.LIVE, key)[:-20])
    with pytest.raises(TerminalError, match=f"{key} holds no labelled rows"):
        _detect(world)


@pytest.mark.parametrize("content", [b'{"format": 2}', b'{"format": 1, "bins": []}', b"[" * 100_000, b"\xff"])
def test_what_is_no_baseline_is_named(content: bytes) -> None:
    objects = FakeObjects()
    objects.write(ex.ARTIFACTS, "evaluations/x.json", content)
    with pytest.raises(TerminalError, match=r"s3://artifact-bucket/evaluations/x\.json cannot be read"):
        load_baseline(objects, f"s3://{ex.ARTIFACTS}/evaluations/x.json")


def test_objects_of_one_request_each_are_counted_once_whatever_bundles_they_are_in(world: World) -> None:
    columns = ex.traffic(60, seed=3)
    sources = [world.captured({name: column[n : n + 1] for name, column in columns.items()}, str(n)) for n in range(60)]
    for batch in (sources[:20], sources[20:], sources[10:30], sources[59:]):
        world.profile(*batch)
    assert _detect(world).rows == 60
    assert _detect(world).rows == 60, "and again by a process that knows the files"
