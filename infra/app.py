"""The CDK app: one platform stack, and one stack for each model file."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aws_cdk as cdk

from driftloop.spec import ModelSpec, SpecError, find_models
from infra.definition import COMPILED, read_definition
from infra.errors import InfraError, UsageError
from infra.packaging import BUILD, PLATFORMS, ROOT, functions_folder, steps_folder
from infra.rules import aws_solutions, template_rules
from infra.stacks.model import ModelStack
from infra.stacks.platform import PlatformStack

_PATHS = "aws:cdk:enable-path-metadata"
"""The rules find a construct again by its path; the CDK CLI sets the same."""


def app(
    models: Path | None = None,
    context: Mapping[str, Any] | None = None,
    *,
    outdir: Path | None = None,
    definition: Path = COMPILED,
) -> cdk.App:
    """Build the app; ``synth()`` writes and checks the templates.

    Args:
        models: folder with one folder per model; the context's ``driftloop:models`` if None.
        context: added to the context of cdk.json.

    Raises:
        SpecError: faults in model files, all of them, each with file, line and reason.
        InfraError: wrong context, something that was not built, a pipeline that does not fit, a limit of AWS.
    """
    base = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]
    settings = {**base, **(context or {}), _PATHS: True}
    root = cdk.App(context=settings, outdir=str(outdir) if outdir else None, analytics_reporting=False)
    folder = models or ROOT / str(root.node.get_context("driftloop:models"))
    specs = _models(folder)
    compiled = read_definition(definition)
    where = _platform(root)
    functions, steps = functions_folder(where), steps_folder()
    _check_built(where, functions, steps)
    platform = PlatformStack(
        root,
        functions=functions,
        owners=[spec.owner for spec in specs],
        retain=_flag(root, "driftloop:retain"),
        mlflow=_flag(root, "driftloop:mlflow"),
    )
    for spec in specs:
        stack = ModelStack(root, spec, definition=compiled, steps=steps, functions=functions, compiled=_compile(spec))
        stack.add_stack_dependency(platform)
    cdk.Validations.of(root).add_plugins(aws_solutions(), template_rules())
    return root


def main() -> int:
    """Entry point of cdk.json."""
    try:
        app().synth()
    except (SpecError, InfraError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except RuntimeError as error:
        if "ValidationFailed" not in str(error):
            raise
        return 1  # CDK has printed what is wrong and where
    return 0


def _models(folder: Path) -> list[ModelSpec]:
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder; say where the model files are with -c driftloop:models=<folder>")
    return find_models(folder)


def _platform(root: cdk.App) -> str:
    platform = str(root.node.get_context("driftloop:platform"))
    if platform not in PLATFORMS:
        raise UsageError(f"driftloop:platform is {platform!r}; it can be {' or '.join(PLATFORMS)}")
    return platform


def _flag(root: cdk.App, name: str) -> bool:
    value = str(root.node.get_context(name)).lower()
    if value not in ("true", "false"):
        raise UsageError(f"{name} is {value!r}; it can be true or false")
    return value == "true"


def _check_built(where: str, *folders: Path) -> None:
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"{folder} is not there; build it with `python -m infra.packaging --platform {where}`")


def _compile(spec: ModelSpec) -> Path:
    """The model file as the pipeline's steps read it."""
    path = BUILD / "specs" / f"{spec.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    # The order of the features is the order of the payload: keys stay as they are.
    text = json.dumps(spec.for_steps(), separators=(",", ":"))
    fresh = path.with_name(f".{spec.name}.{os.getpid()}")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)
    return path


if __name__ == "__main__":
    sys.exit(main())
