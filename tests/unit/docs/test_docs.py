"""The documents say what is so: keys of the model file, links, commands, targets and paths."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args
from xml.etree import ElementTree

import click
import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from driftloop.cli import main
from driftloop.spec.model import Feature, ModelSpec
from driftloop.spec.sizes import parse_size, write_size
from driftloop.spec.units import parse_percent
from tests.conftest import ROOT

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
IDS = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def _fences(path: Path) -> list[tuple[str, str]]:
    """Language and content of each fenced block."""
    return [(fence[1], fence[2]) for fence in _FENCE.finditer(path.read_text(encoding="utf-8"))]


def _prose(path: Path) -> str:
    return _FENCE.sub("", path.read_text(encoding="utf-8"))


def _code(path: Path) -> list[str]:
    """Every command or name that is set as code: lines of shell blocks, and spans in the text."""
    lines = [line for language, body in _fences(path) if language in ("sh", "console") for line in body.splitlines()]
    return [*lines, *_SPAN.findall(_prose(path))]


# The model file


def _keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every key of the model file that has a value of its own."""
    for name, field in model.model_fields.items():
        key = f"{prefix}{name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _keys(field.annotation, f"{key}.")
            continue
        yield key, field
        if key == "data.features":
            yield from _keys(Feature, f"{key}.<column>.")


def _written(field: FieldInfo) -> str:
    """A default as people write it in a model file, or what stands for none."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value in (None, ""):
        return "none" if value is None else "empty"
    if isinstance(value, timedelta):
        seconds = int(value.total_seconds())
        value = next(f"{seconds // length}{unit}" for unit, length in _UNITS if seconds % length == 0)
    elif any(getattr(rule, "func", None) is parse_size for rule in field.metadata):
        value = write_size(value).replace(" ", "")
    elif any(getattr(rule, "func", None) is parse_percent for rule in field.metadata):
        value = f"{value:.0%}"
    elif isinstance(value, tuple):
        value = f"[{', '.join(value)}]"
    elif isinstance(value, bool):
        value = str(value).lower()
    return f"`{value}`"


def _documented() -> dict[str, list[str]]:
    """Key -> the other cells of its row."""
    text = (ROOT / "docs" / "guide" / "model-file.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line[:3] == "| `"]
    keys = [row[0].strip("`| ") for row in rows]
    assert len(keys) == len(set(keys)), "a key is documented twice"
    return {key: row[1:] for key, row in zip(keys, rows, strict=True)}


def test_every_key_of_the_model_file_is_documented_and_no_other() -> None:
    assert sorted(_documented()) == sorted(key for key, _ in _keys(ModelSpec))


def test_documented_defaults_are_the_defaults() -> None:
    told = {key: cells[1] for key, cells in _documented().items()}
    assert told == {key: _written(field) for key, field in _keys(ModelSpec)}


def test_documented_choices_are_the_choices() -> None:
    documented = _documented()
    for key, field in _keys(ModelSpec):
        # Of a list of choices, those of its items.
        choices = _choices(field.annotation) or _choices(next(iter(get_args(field.annotation)), None))
        if choices:
            assert _SPAN.findall(documented[key][0]) == list(choices), key


def _choices(annotation: Any) -> list[str]:
    found = get_args(annotation)
    return list(found) if all(isinstance(choice, str) for choice in found) else []


# Links and paths


def _slug(heading: str) -> str:
    """Anchor of a heading, as GitHub makes it."""
    kept = re.sub(r"[^\w\- ]", "", heading.replace("`", "").strip().lower())
    return kept.replace(" ", "-")


def _anchors(path: Path) -> set[str]:
    return {_slug(line.lstrip("#")) for line in _prose(path).splitlines() if line.startswith("#")}


@pytest.mark.parametrize("path", DOCUMENTS, ids=IDS)
def test_relative_links_lead_somewhere(path: Path) -> None:
    for link in _LINK.findall(_prose(path)):
        if "://" in link:
            continue
        place, _, anchor = link.partition("#")
        target = (path.parent / place).resolve() if place else path
        assert target.exists(), f"{link} does not exist"
        assert target.is_relative_to(ROOT), f"{link} leads out of the repository"
        assert not anchor or anchor in _anchors(target), f"{link}: no such heading"


@pytest.mark.parametrize("path", DOCUMENTS, ids=IDS)
def test_named_files_exist(path: Path) -> None:
    roots = {entry.name for entry in ROOT.iterdir() if entry.is_dir() and entry.name not in ("build", "node_modules")}
    for name in _SPAN.findall(_prose(path)):
        if re.fullmatch(r"[\w./-]+", name) and "/" in name and name.split("/")[0] in roots:
            assert (ROOT / name).exists(), name


def test_the_picture_is_well_formed_and_names_every_function() -> None:
    picture = ElementTree.parse(ROOT / "docs" / "loop.svg")  # noqa: S314 - our own file
    text = " ".join("".join(node.itertext()) for node in picture.iter("{http://www.w3.org/2000/svg}text"))
    # Those that are left out belong to the end of a stack, to a person's request, and to models that have a URL or are asked in files or objects or have shadows.
    outside = {"remove_endpoint", "rebuild_shards", "predict", "transform_batch", "capture_answers", "compare_shadow"}
    functions = {handler.parent.name for handler in (ROOT / "functions").glob("*/handler.py")} - outside
    assert functions <= set(text.split())


# Commands


def _words(line: str) -> list[str]:
    """A command line as words, without what a shell wraps around it."""
    return shlex.split(re.sub(r'^eval "\$\((.*)\)"$', r"\1", line), comments=True)


def _calls(path: Path) -> Iterator[list[str]]:
    """The words after ``driftloop`` wherever the command is called."""
    for code in _code(path):
        if re.match(r'(eval "\$\()?(\.venv/bin/)?driftloop [a-z]', code):
            yield _words(code)[1:]


def _resolve(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command and what is left of the words. Fails for a command that does not exist."""
    command: click.Command = main
    while isinstance(command, click.Group) and words:
        assert words[0] in command.commands, f"driftloop has no command {words[0]!r}"
        command, words = command.commands[words[0]], words[1:]
    return command, words


@pytest.mark.parametrize("path", DOCUMENTS, ids=IDS)
def test_commands_exist(path: Path) -> None:
    for words in _calls(path):
        command, rest = _resolve(words)
        known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
        for option in (word for word in rest if word.startswith("--")):
            assert option in known, f"driftloop {command.name} has no option {option}"


def test_every_command_is_documented() -> None:
    told = {id(_resolve(words)[0]) for path in DOCUMENTS for words in _calls(path)}
    # The demo is documented as `make demo`.
    missing = {command.name for command in _leaves(main) if id(command) not in told} - {"demo"}
    assert not missing


def _leaves(command: click.Command) -> Iterator[click.Command]:
    if not isinstance(command, click.Group):
        yield command
        return
    for part in command.commands.values():
        yield from _leaves(part)


@pytest.mark.parametrize("path", DOCUMENTS, ids=IDS)
def test_make_targets_exist(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):(?!=)", makefile, re.MULTILINE))
    for code in _code(path):
        if named := re.fullmatch(r"make ([a-z-]+)", code.strip()):
            assert named[1] in targets, f"make has no target {named[1]!r}"


def test_shell_blocks_of_the_readme_say_where_they_run() -> None:
    fences = _fences(ROOT / "README.md")
    assert {language for language, _ in fences} <= {"sh", "console"}
    for language, body in fences:
        if language == "sh":
            # Each line runs by itself, without an account.
            assert all(line and not line.startswith(("#", "export ", "aws ")) for line in body.splitlines()), body
