"""Read model files; what is wrong is said with the file, the line, the reason and a hint."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from driftloop.spec.model import HINTS, ModelSpec

MAX_BYTES = 256 * 1024
"""Of a model file, and of the training code beside it."""


class SpecError(Exception):
    """A model file that cannot be used. ``str(error)`` is one line per fault: ``file:line: place: reason``."""


class _Loader(yaml.SafeLoader):
    """YAML as people mean it: `on` stays a word, dates stay text, and a key given twice is an error."""


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag not in ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:bool")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
# The booleans of YAML 1.2: `on` and `yes` are words.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def load_model(path: Path) -> ModelSpec:
    """Read and check the model file of a folder of its name. Raises SpecError with every fault found."""
    spec, line = _load(path)
    folder = path.absolute().parent.name
    if folder != spec.name:
        raise SpecError(f"{path}:{line}: name: {spec.name!r} differs from its folder {folder!r}; rename one")
    return spec


def read_model(path: Path) -> ModelSpec:
    """The same for a model file that may lie anywhere. Raises SpecError."""
    return _load(path)[0]


def _load(path: Path) -> tuple[ModelSpec, int]:
    """A model file, and the line of its name."""
    node, raw = _read(path)
    try:
        spec = ModelSpec.model_validate(raw)
    except ValidationError as error:
        raise SpecError("\n".join(_describe(path, node, fault) for fault in error.errors())) from None
    if spec.training.script is not None:
        script = path.with_name(spec.training.script)
        spec = spec.with_source(_read_script(script, f"{path}:{_line(node, ('training', 'script'))}"))
    return spec, _line(node, ("name",))


def _read_script(script: Path, place: str) -> str:
    """Training code. It is only read, never run: what is deployed runs elsewhere."""
    try:
        if script.stat().st_size > MAX_BYTES:
            raise SpecError(f"{script}:1: larger than {MAX_BYTES} bytes; training code is one module")
        source = script.read_text(encoding="utf-8-sig")
        tree = ast.parse(source)
        compile(tree, str(script), "exec", dont_inherit=True)  # finds what parsing does not, such as a stray return
    except OSError as error:
        raise SpecError(
            f"{place}: training.script: {script} cannot be read: {error.strerror}; put it beside the model file"
        ) from error
    except SyntaxError as error:
        raise SpecError(f"{script}:{error.lineno or 1}: not Python: {error.msg}") from error
    except (MemoryError, RecursionError) as error:
        raise SpecError(f"{script}:1: not Python: nested too deeply") from error
    except ValueError as error:
        raise SpecError(f"{script}:1: cannot be read: {error}; save it as UTF-8 text") from error
    if not any(isinstance(part, ast.FunctionDef) and part.name == "fit" for part in tree.body):
        raise SpecError(f"{script}:1: has no function `fit`; see docs/guide/training.md")
    return source


def _read(path: Path) -> tuple[yaml.MappingNode, Any]:
    """The file as YAML nodes, which know their lines, and as plain values."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SpecError(f"{path}:1: larger than {MAX_BYTES} bytes; a model file describes one model")
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=_Loader)
        if not isinstance(node, yaml.MappingNode):
            raise SpecError(
                f"{path}:1: a model file is a mapping that starts with `name:`; see docs/guide/model-file.md"
            )
        _refuse_duplicates(path, node)
        return node, _Loader("").construct_document(node)
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}:1: cannot be read: {error}; save it as UTF-8 text") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or error
        raise SpecError(f"{path}:{mark.line + 1 if mark else 1}: not YAML: {reason}") from error
    except (ValueError, RecursionError) as error:
        raise SpecError(f"{path}:1: not a model file: {error}") from error


def find_models(folder: Path) -> list[ModelSpec]:
    """All models below a folder, sorted by name. Raises SpecError with the faults of all files together."""
    specs, faults = [], []
    for path in sorted(folder.glob("*/model.yaml")):
        try:
            specs.append(load_model(path))
        except SpecError as error:
            faults.append(str(error))
    if faults:
        raise SpecError("\n".join(faults))
    return specs


def _refuse_duplicates(path: Path, node: yaml.Node) -> None:
    for mapping in _mappings(node):
        seen: set[str] = set()
        for key, _ in mapping.value:
            where = f"{path}:{key.start_mark.line + 1}"
            if not isinstance(key, yaml.ScalarNode):
                raise SpecError(f"{where}: a key is a name; put lists and mappings after the colon")
            if key.value in seen:
                raise SpecError(f"{where}: {key.value}: given twice; keep one")
            seen.add(key.value)


def _mappings(root: yaml.Node) -> Iterator[yaml.MappingNode]:
    """Each mapping once, however often aliases refer to it."""
    waiting, visited = [root], set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in visited:
            continue
        visited.add(id(node))
        if isinstance(node, yaml.MappingNode):
            yield node
            waiting.extend(value for _, value in reversed(node.value))
        elif isinstance(node, yaml.SequenceNode):
            waiting.extend(reversed(node.value))


def _describe(path: Path, node: yaml.Node, fault: Any) -> str:
    place = tuple(part for part in (*fault["loc"], *fault.get("ctx", {}).get("place", ())) if part != "[key]")
    reason = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "extra_forbidden":
        reason = f"unknown key{_suggestion(place)}"
    elif fault["type"] == "string_pattern_mismatch":
        reason = f"{str(fault['input'])[:60]!r} cannot be used here; write {HINTS[fault['ctx']['pattern']]}"
    elif fault["type"] == "missing":
        reason = "is missing; every model file needs it"
    return f"{path}:{_line(node, place)}: {'.'.join(map(str, place)) or 'file'}: {reason}"


def _suggestion(place: tuple[str | int, ...]) -> str:
    model: Any = ModelSpec
    for part in place[:-1]:
        field = model.model_fields.get(str(part)) if isinstance(model, type) and issubclass(model, BaseModel) else None
        model = field.annotation if field else None
    known = list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []
    close = difflib.get_close_matches(str(place[-1]), known, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known here are {', '.join(known)}" if known else ""


def _line(node: yaml.Node, place: tuple[str | int, ...]) -> int:
    """Line of the deepest part of ``place`` that exists in the file."""
    line = node.start_mark.line + 1
    for part in place:
        if isinstance(node, yaml.MappingNode):
            entry = next(((key, value) for key, value in node.value if key.value == part), None)
            if entry is None:
                break
            line, node = entry[0].start_mark.line + 1, entry[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return int(line)
