"""How long does the synth of many models take? ``python -m benchmarks.synth --models 100 --out FILE.json``."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.results import publish
from infra.packaging import BUILD, PLATFORMS, ROOT, package_functions, package_steps

TEMPLATE = """\
name: {name}
owner: team{team}@example.com
task: binary_classification
data:
  id: row_id
  time: happened_at
  label: outcome
  label_delay: 12h
  features:
{features}
training: {{window: 60d, holdout: 7d}}
gate: {{metric: log_loss, margin: 0.002, slices: [feature_00]}}
monitoring: {{window: {window}}}
retraining: {{on: [drift, quality, schedule], every: 30d, cooldown: 3d}}
"""


def write_models(folder: Path, count: int, features: int = 20) -> None:
    """Model folders that differ in name, owner and window; every optional resource of a model's stack is in use."""
    columns = "\n".join(f"    feature_{n:02d}: {'number' if n else 'category'}" for n in range(features))
    for number in range(count):
        name = f"model_{number:03d}"
        window = ("1d", "12h", "6h")[number % 3]
        (folder / name).mkdir(parents=True)
        text = TEMPLATE.format(name=name, team=number % 10, window=window, features=columns)
        (folder / name / "model.yaml").write_text(text, encoding="utf-8")


def measure(count: int, where: str) -> dict[str, Any]:
    """One synth, from the start of Python to its end, with all rules. Raises CalledProcessError if it fails."""
    with tempfile.TemporaryDirectory() as temporary:
        models, assembly = Path(temporary, "models"), Path(temporary, "assembly")
        write_models(models, count)
        context = {"driftloop:models": str(models), "driftloop:platform": where}
        paths = os.pathsep.join((str(ROOT / "src"), str(ROOT)))
        environment = {"PYTHONPATH": paths, "CDK_OUTDIR": str(assembly), "CDK_CONTEXT_JSON": json.dumps(context)}
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "infra.app"], cwd=ROOT, env={**os.environ, **environment}, check=True)
        seconds = time.perf_counter() - started
        for model in models.iterdir():
            (BUILD / "specs" / f"{model.name}.json").unlink()
        templates = {path.name.split(".")[0]: path for path in assembly.glob("*.template.json")}
        resources = {name: len(json.loads(path.read_text())["Resources"]) for name, path in templates.items()}
        stacks = {name: number for name, number in resources.items() if name != "driftloop-platform"}
        return {
            "models": count,
            "seconds": round(seconds, 1),
            "stacks": len(resources),
            "max_resources_per_model_stack": max(stacks.values()),
            "platform_resources": resources["driftloop-platform"],
            "largest_template_bytes": max(path.stat().st_size for path in templates.values()),
            "cpus": os.cpu_count(),
            "python": platform.python_version(),
        }


def main(arguments: list[str] | None = None) -> int:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.synth", description=__doc__)
    parser.add_argument("--models", type=int, default=100)
    parser.add_argument("--platform", choices=PLATFORMS, default="host", help="which build of the functions to publish")
    parser.add_argument("--out", type=Path, help="JSON file for the result")
    options = parser.parse_args(arguments)
    package_functions(options.platform)
    package_steps()
    publish(measure(options.models, options.platform), options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
