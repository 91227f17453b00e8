"""The page on retraining says what the code does: triggers, rules, statuses, events, JSON, drawing."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from docs import draw_episodes
from docs.draw_episodes import BOX_HEIGHT, DrawingError, draw, layout
from driftloop.cli.episodes import as_dict
from driftloop.cli.story import Story
from driftloop.loop.announce import EPISODE_CHANGED, VERSION_CHANGED, Announcer
from driftloop.names import PREFIX
from driftloop.retraining.decision import ASKED_AGAIN, RULES
from driftloop.retraining.episode import MOVES, NEVER_RAN, Request, Status, Trigger, open_episode
from driftloop.simulation.fakes import FakeEvents, FakeNotifier
from driftloop.spec import load_model
from infra.function_catalog import FUNCTIONS
from infra.references import dead_letter_queue
from tests.conftest import ROOT
from tests.fakes.examples import START

GUIDE = ROOT / "docs" / "guide"
PAGE = (GUIDE / "retraining.md").read_text(encoding="utf-8")
SPAN = re.compile(r"`([^`]+)`")
SVG = "{http://www.w3.org/2000/svg}"
EPISODE = open_episode(
    Request("late_train", Trigger.DRIFT, "cause", "reason", START, "somebody"), Status.REQUESTED, "start"
)


def section(title: str, text: str = PAGE) -> str:
    """What stands below a heading, up to the next one."""
    found = re.search(rf"^##+ {re.escape(title)}\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def rows(text: str) -> list[list[str]]:
    """Cells of each row of the tables in a text, without heads."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:3] == "| `"]


def named(cell: str) -> set[str]:
    return set(SPAN.findall(cell))


def test_every_trigger_is_explained() -> None:
    found = rows(section("Triggers"))
    assert {name for row in found for name in named(row[0])} == {str(trigger) for trigger in Trigger}
    assert len(found) == len(Trigger)


def test_the_rules_are_told_in_the_order_in_which_they_are_asked() -> None:
    assert [SPAN.findall(row[0]) for row in rows(section("The rules"))] == [[name] for name in RULES]


def test_whom_a_rule_binds_is_what_the_rule_looks_at() -> None:
    # These three exempt people by what they ask for: any trigger is wanted of them, and no alarm is theirs.
    by_nature = {"wanted", "served", "of_this_version"}
    for name, rule in RULES.items():
        [row] = [row for row in rows(section("The rules")) if row[0] == f"`{name}`"]
        exempt = name in by_nature or "by_hand" in inspect.getsource(rule)
        assert row[3] == ("no" if exempt else "yes"), name


def test_what_can_wait_is_told() -> None:
    waits, refused = re.search(
        r"\*\*Wait\*\* is for causes that last \((.*?)\).*once \((.*?)\)", PAGE, re.DOTALL
    ).groups()  # type: ignore[union-attr]
    assert named(waits) == {str(trigger) for trigger in ASKED_AGAIN}
    assert named(refused) == {str(trigger) for trigger in set(Trigger) - ASKED_AGAIN}


def test_every_status_is_told_with_those_that_may_follow() -> None:
    text = section("Episodes", (GUIDE / "the-loop.md").read_text(encoding="utf-8"))
    told = {name: named(row[1]) for row in rows(text) for name in named(row[0])}
    assert told == {str(status): {str(after) for after in moves} for status, moves in MOVES.items()}


def announced() -> FakeEvents:
    """All that the announcer puts on the bus."""
    events = FakeEvents()
    announcer = Announcer(FakeNotifier(), events)
    announcer.moved(EPISODE)
    announcer.serves("late_train", 4, "arn")
    announcer.rolled_back("late_train", 5, "arn", "errors")
    return events


@pytest.mark.parametrize("kind", [EPISODE_CHANGED, VERSION_CHANGED])
def test_the_fields_of_events_are_the_fields_that_are_sent(kind: str) -> None:
    sent = {field for sent_kind, detail in announced().sent if sent_kind == kind for field in detail}
    told = re.search(rf"^`{kind}`.*?\n\n(.*?)\n\n", PAGE, re.MULTILINE | re.DOTALL)
    assert told
    assert {name for row in rows(told[1]) for name in named(row[0])} == sent


def test_the_example_pattern_hears_moves_that_exist() -> None:
    [pattern] = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
    assert pattern["source"] == [PREFIX]
    assert pattern["detail-type"] == [EPISODE_CHANGED]
    assert set(pattern["detail"]["status"]) <= {str(status) for status in Status} - {str(s) for s in NEVER_RAN}
    assert set(pattern["detail"]) <= set(announced().sent[0][1])


def test_the_fields_of_json_are_the_fields_that_are_printed() -> None:
    text = section("Ask why")
    assert {name for row in rows(text) for name in named(row[0])} == set(as_dict(EPISODE))
    prose = text[text.index("`explain --json`") :]
    story = Story(EPISODE, EPISODE, (), None).as_dict()
    assert named(prose) - {"explain --json"} == set(story) | set(story["answered_by"])


def test_the_example_of_the_model_file_is_a_model_file(tmp_path: Path) -> None:
    [example] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    folder = tmp_path / "flight_delay"
    folder.mkdir()
    flights = (ROOT / "models" / "flight_delay" / "model.yaml").read_text(encoding="utf-8")
    text = re.sub(r"^retraining:.*?(?=^\S|\Z)", "", flights, flags=re.MULTILINE | re.DOTALL)
    (folder / "model.yaml").write_text(f"{text.rstrip()}\n{example}")
    retraining = load_model(folder / "model.yaml").retraining
    budget = retraining.budget
    assert budget.cost_per_month is not None
    assert int(budget.cost_per_month // budget.cost) == 5, "as the text says"
    assert (retraining.new_rows, retraining.give_up_after) == (20_000, 4)
    assert set(retraining.on) == {str(trigger) for trigger in Trigger} - {"manual"}


def test_operations_names_every_queue_of_dead_letters() -> None:
    text = section("Dead letters", (GUIDE / "operations.md").read_text(encoding="utf-8"))
    works = {
        name for function in FUNCTIONS for name in (function.work and function.work.name, function.failures) if name
    }
    told = text[text.index("Queues `") : text.index("Messages stay")]
    assert named(told) - {"driftloop-<work>-dlq"} == works
    assert dead_letter_queue("<work>") in told


def test_the_drawing_is_current() -> None:
    text = draw_episodes.OUTPUT.read_text(encoding="utf-8")
    assert text == draw(), "run `python docs/draw_episodes.py`"
    assert draw_episodes.main(["--check"]) == 0


def test_the_drawing_has_every_status_and_every_move() -> None:
    picture = ElementTree.fromstring(draw())  # noqa: S314 - our own drawing
    states = [node.text for node in picture.iter(f"{SVG}text")]
    assert sorted(filter(None, states)) == sorted(MOVES)
    arrows = sorted(node.attrib["data-move"] for node in picture.iter(f"{SVG}path") if "data-move" in node.attrib)
    moves = [f"{status} {after}" for status, following in MOVES.items() for after in following]
    answers = [f"asked {status}" for status in (Status.REQUESTED, *NEVER_RAN)]
    assert arrows == sorted([*moves, *answers])


def test_no_box_covers_another_and_all_are_on_the_page() -> None:
    boxes = list(layout(MOVES).values())
    for number, one in enumerate(boxes):
        assert one.width / 2 < one.x < draw_episodes.WIDTH - one.width / 2
        for other in boxes[number + 1 :]:
            apart = abs(one.x - other.x) >= (one.width + other.width) / 2 or abs(one.y - other.y) >= BOX_HEIGHT
            assert apart, (one, other)


def test_another_machine_is_another_drawing() -> None:
    shorter = {**MOVES, Status.STARTED: MOVES[Status.STARTED] - {Status.APPROVED}}
    assert draw(shorter) != draw()
    assert "started approved" not in draw(shorter)


@pytest.mark.parametrize(
    ("status", "following"),
    [
        (Status.REQUESTED, {Status.STARTED, Status.CANDIDATE, Status.ROLLED_BACK, Status.FAILED}),
        (Status.REFUSED, {Status.STARTED}),
    ],
)
def test_what_cannot_be_drawn_is_said(status: Status, following: set[Status]) -> None:
    moves = {**MOVES, status: frozenset(following)}
    with pytest.raises(DrawingError):
        draw(moves)


def test_a_changed_drawing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draw_episodes, "OUTPUT", tmp_path / "episodes.svg")
    assert draw_episodes.main(["--check"]) == 1
    assert draw_episodes.main([]) == 0
    assert draw_episodes.main(["--check"]) == 0
