"""Compile the pipelines to JSON: ``python -m pipelines.compile [--check]``.

Needs the SageMaker SDK (locks/compile.txt), which lives in an environment of its own.
"""

from __future__ import annotations

import argparse
import difflib
import json
import logging
import os
import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

PIPELINES = ("retraining", "profiling")
_FIRST = ("Version", "Name", "Type", "DependsOn", "Parameters")
# What the SDK adds to the container's environment: one is a concrete region, the other its own default.
_DROPPED = frozenset({"SAGEMAKER_REGION", "SAGEMAKER_CONTAINER_LOG_LEVEL"})
# The SDK looks for a region and for credentials on import and in every constructor; none of these reaches the output.
_OFFLINE = {
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "offline",
    "AWS_SECRET_ACCESS_KEY": "offline",
    "AWS_EC2_METADATA_DISABLED": "true",
    "SAGEMAKER_VALIDATE_ROLE": "false",
}


def compiled(name: str) -> Path:
    """The committed definition of a pipeline."""
    return Path(__file__).with_name(f"{name}.json")


def compile_pipeline(name: str) -> str:
    """The definition as committed: indented, keys in a fixed order, without what the SDK leaves empty."""
    os.environ.pop("AWS_PROFILE", None)
    os.environ.update(_OFFLINE)
    # The SDK tells at length that it starts nothing and leaves job names out, which is what is wanted.
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    module = import_module(f"pipelines.{name}")  # needs the environment from above
    definition = _tidy(json.loads(module.build_pipeline().definition()))
    text = json.dumps(definition, indent=2, ensure_ascii=False) + "\n"
    for stand_in, placeholder in module.STAND_INS.items():
        text = text.replace(f'"{stand_in}"', f'"{placeholder}"')
    return text


def _tidy(value: Any) -> Any:
    if isinstance(value, list):
        return [_tidy(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("Type") == "RegisterModel":
        # The SDK appends the type to the name that was given.
        value = value | {"Name": value["Name"].removesuffix("-RegisterModel")}
    names = sorted(value, key=lambda name: (_FIRST.index(name) if name in _FIRST else len(_FIRST), name))
    return {
        name: _tidy(value[name])
        for name in names
        if name not in _DROPPED and value[name] is not None and value[name] != {}
    }


def main(argv: list[str] | None = None) -> int:
    """Write the compiled definitions, or with ``--check`` compare them with the committed ones (exit status 1)."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.compile", description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail if a committed file differs")
    check = parser.parse_args(argv).check
    return max([_one(name, check) for name in PIPELINES])


def _one(name: str, check: bool) -> int:
    path, text = compiled(name), compile_pipeline(name)
    if not check:
        path.write_text(text, encoding="utf-8")
        print(f"{path}: written")
        return 0
    committed = path.read_text(encoding="utf-8") if path.exists() else ""
    if committed == text:
        print(f"{path}: up to date")
        return 0
    lines = difflib.unified_diff(committed.splitlines(), text.splitlines(), "committed", "compiled", lineterm="")
    print(*lines, f"{path} is out of date; run `python -m pipelines.compile`", sep="\n", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
