"""One synth for all tests of a session: importing CDK alone takes seconds."""

from __future__ import annotations

from pathlib import Path

import pytest

from driftloop.spec import find_models
from infra.app import app
from infra.packaging import ROOT, package_functions, package_steps
from tests.infra.rendering import Template

HOST = {"driftloop:platform": "host"}
HOURLY = """\
name: card_fraud
owner: risk@example.com
description: Costs ${amount} of the customer
task: binary_classification
data:
  id: payment_id
  time: paid_at
  label: fraud
  label_delay: 2d
  features: {amount: number, country: category}
training: {instance: ml.c5.xlarge, max_runtime: 2h}
serving: {max_latency: 2s, http: true, rollout: {shadow: 6h}}
monitoring: {window: 6h, datapoints: 2, of: 4}
retraining: {on: [quality, schedule], every: 14d}
"""


WALK_IN = """\
name: walk_in
owner: risk@example.com
task: binary_classification
data:
  id: visit
  time: came_at
  label: buys
  label_delay: 1h
  features: {age: number}
training: {image: xgboost-3.2-0}
serving: {mode: serverless, max_latency: 3s, batch: {every: 6h}}
"""


CLAIMS = """\
name: claim_triage
owner: risk@example.com
task: binary_classification
data:
  id: claim
  time: filed_at
  label: disputed
  label_delay: 2d
  features: {amount: number}
serving: {mode: asynchronous, count: 2, max_latency: 60s}
"""


@pytest.fixture(scope="session")
def models() -> Path:
    """The model files of the repository."""
    return ROOT / "models"


@pytest.fixture(scope="session")
def built() -> None:
    """What the app publishes."""
    package_functions("host")
    package_steps()


@pytest.fixture(scope="session")
def assembly(models: Path, built: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The app as it is, synthesised."""
    folder = tmp_path_factory.mktemp("assembly")
    app(models, HOST, outdir=folder).synth()
    return folder


@pytest.fixture(scope="session")
def platform(assembly: Path) -> Template:
    return Template.load(assembly, "driftloop-platform")


@pytest.fixture(scope="session")
def flights(assembly: Path) -> Template:
    return Template.load(assembly, "driftloop-flight-delay")


@pytest.fixture(scope="session")
def two_models(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the repository's model and others that differ in everything that templates depend on."""
    folder = tmp_path_factory.mktemp("models")
    (spec,) = find_models(models)
    flights = (models / spec.name / "model.yaml").read_text()
    for name, text in ((spec.name, flights), ("card_fraud", HOURLY), ("walk_in", WALK_IN), ("claim_triage", CLAIMS)):
        (folder / name).mkdir()
        (folder / name / "model.yaml").write_text(text)
    return folder


@pytest.fixture(scope="session")
def disposable(two_models: Path, built: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Their models, on a platform whose data go with it."""
    folder = tmp_path_factory.mktemp("disposable")
    app(two_models, {**HOST, "driftloop:retain": "false"}, outdir=folder).synth()
    return folder


@pytest.fixture(scope="session")
def fraud(disposable: Path) -> Template:
    return Template.load(disposable, "driftloop-card-fraud")


@pytest.fixture(scope="session")
def walk_in(disposable: Path) -> Template:
    return Template.load(disposable, "driftloop-walk-in")


@pytest.fixture(scope="session")
def claims(disposable: Path) -> Template:
    return Template.load(disposable, "driftloop-claim-triage")
