"""The model card of a version, as SageMaker's registry takes it: what it is for, made from, and how it was judged. Pure.

The names and lengths are those of the schema of a model package's card
(https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-details.html#model-card-schema), which is a part of that of
other model cards.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from driftloop.data.schema import Feature, Schema

MOST = 100_000
"""Characters of a card."""
_LONG, _SHORT, _OBSERVATION, _NAME, _LISTED = 2048, 1024, 2096, 255, 100
_FIGURES = 50
_CUT, _EMPTY = " ...", "(empty)"

Json = dict[str, Any]


@dataclass(frozen=True)
class Facts:
    """What is known of a version; what has been deleted, or never was, is empty."""

    spec: Mapping[str, Any]
    """The compiled model file, as it is deployed."""
    properties: Mapping[str, str]
    """The version's metadata in the registry."""
    model_data_url: str
    image: str
    evaluation: Mapping[str, Any]
    training: Mapping[str, Any]
    """``training.json`` of its archive."""
    made_with: Mapping[str, Any]
    """The compiled model file in its archive, with hyperparameters as they were tuned."""
    asked: Mapping[str, str]
    """Who asked for it, and why."""
    data_uri: str = ""
    """Where its data set's manifest lies."""


def model_card(facts: Facts) -> Json:
    """The card; what is not known is left out."""
    spec = facts.spec
    card = {
        "model_overview": {
            "model_creator": _cut(spec["owner"], _SHORT),
            "model_artifact": [_cut(facts.model_data_url, _SHORT)] if facts.model_data_url else [],
        },
        "intended_uses": _uses(spec, Schema.from_spec(spec)),
        "training_details": _training(facts),
        "evaluation_details": _evaluation(facts) if facts.evaluation else [],
        "additional_information": {
            "caveats_and_recommendations": _cut(" ".join(_caveats(spec)), _LONG),
            "custom_details": _details(facts),
        },
    }
    return {name: part for name, part in card.items() if part}


def write(card: Json) -> str:
    """The card as text. Raises ValueError if it is longer than SageMaker takes."""
    # Without escapes: a letter counts once. Not even one line break, which the service's pattern does not allow.
    text = json.dumps(card, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    if len(text) > MOST:
        raise ValueError(f"the card has {len(text)} characters, and SageMaker takes {MOST}")
    return text


def is_written(text: str) -> bool:
    """True if this is a card that somebody has written, and not one that Studio has begun by itself."""
    try:
        card = json.loads(text or "{}")
    except ValueError:
        return True
    return not isinstance(card, dict) or bool(card.keys() & {"intended_uses", "additional_information"})


def _uses(spec: Mapping[str, Any], schema: Schema) -> Json:
    what = f"The probability that {schema.label} is 1"
    columns = ", ".join(_column(feature) for feature in schema.features)
    return {
        "purpose_of_model": _cut(spec.get("description") or f"{what}.", _LONG),
        "intended_uses": _cut(f"{what} ({spec['task']}), for rows with the columns {columns}.", _LONG),
        "factors_affecting_model_efficiency": _cut(_factors(spec), _LONG),
        # The model file does not say what a wrong answer costs.
        "risk_rating": "Unknown",
    }


def _column(feature: Feature) -> str:
    if feature.low is None and feature.high is None:
        return f"{feature.name} ({feature.type})"
    return f"{feature.name} ({feature.type}, {feature.low:g} to {feature.high:g})"


def _factors(spec: Mapping[str, Any]) -> str:
    monitoring, retraining = spec["monitoring"], spec["retraining"]
    window = _span(monitoring["window"])
    return (
        f"Inputs and predictions that no longer look like those of the training window. They are compared every {window}, over "
        f"{monitoring['smoothing']} windows, each with at least {monitoring['min_rows']} rows; observed quality follows when "
        f"labels have come. A retraining is asked for on: {', '.join(retraining['on']) or 'nothing but a person'}."
    )


def _caveats(spec: Mapping[str, Any]) -> Iterator[str]:
    gate, monitoring, delay = spec["gate"], spec["monitoring"], _span(spec["data"]["label_delay"])
    yield "The answer is a probability; which one is acted on is for its user to decide."
    yield "A value outside a column's range, or of a category that the training rows did not have, is a sign of a broken feed."
    yield f"What really happened is known {delay} later: until then quality is an estimate from the scores."
    yield f"Windows with fewer than {monitoring['min_rows']} rows are not judged."
    if gate["slices"]:
        yield f"Versions were compared for each value of {', '.join(gate['slices'])}; of other groups nothing is known."
    else:
        yield "Versions were not compared for any group of rows; of groups nothing is known."
    yield "What is registered was fitted once more, with the rows of the holdout; the evaluation is of the version before that."


def _training(facts: Facts) -> Json:
    training, spec = facts.training, facts.made_with or facts.spec
    job = {
        "training_datasets": [_cut(facts.data_uri, _SHORT)] if facts.data_uri else [],
        "training_environment": {"container_image": [_cut(facts.image, _SHORT)]} if facts.image else {},
        "user_provided_training_metrics": _metrics(training.get("metrics", {}), kind=False),
        "user_provided_hyper_parameters": [
            {"name": _cut(name, _NAME) or _EMPTY, "value": _cut(_text(value), _NAME) or _EMPTY}
            for name, value in {**spec["training"]["hyperparameters"], "seed": spec["training"]["seed"]}.items()
        ][:_LISTED],
    }
    told = {"training_observations": _cut(_observations(facts), _SHORT)}
    return {**told, "training_job_details": {name: part for name, part in job.items() if part}}


def _observations(facts: Facts) -> str:
    training, spec = facts.training, facts.made_with or facts.spec
    script = spec["training"].get("script")
    said = [f"Trained by {script or 'gradient-boosted trees'} ({spec['training']['image']})."]
    if training:
        window = training["windows"]["training"]
        said.append(
            f"Fitted on {training['rows']} rows from {window['start']} to {window['end']}, {training['positive_rate']:.1%} of them "
            f"with label 1; {', '.join(f'{name} {version}' for name, version in training['versions'].items())}."
        )
    else:
        said.append("The training record could not be read from the archive.")
    if digest := facts.properties.get("manifest_sha256"):
        said.append(f"Data set {digest}.")
    return " ".join(said)


def _evaluation(facts: Facts) -> list[Json]:
    evaluation, gate = facts.evaluation, facts.evaluation["gate"]
    holdout, confidence = evaluation["holdout"], facts.spec["gate"]["confidence"]
    told = {
        "decision": gate["decision"], "metric": evaluation["metric"], "advantage": gate["advantage"],
        f"lower bound with {confidence:.0%} confidence": gate["lower_bound"], "margin": gate["margin"],
        "rows": evaluation["rows"], "holdout": f"{holdout['start']} to {holdout['end']}",
        "approval when it was registered": evaluation.get("approval"),
    }  # fmt: skip
    groups = {
        "challenger": evaluation["challenger"],
        "champion": evaluation["champion"] or {},
        "prediction of the training rate": {"log_loss": evaluation["baseline_rate_log_loss"]},
    }
    found = {
        "name": "The gate, on rows that no version has learned from",
        "evaluation_observation": _cut(f"{gate['decision']}: {gate['reason']}", _OBSERVATION),
        "datasets": [_cut(facts.data_uri, _SHORT)] if facts.data_uri else [],
        "metadata": {name: _cut(_text(value), _SHORT) for name, value in told.items() if value is not None},
        "metric_groups": [
            {"name": name, "metric_data": metrics} for name, values in groups.items() if (metrics := _metrics(values))
        ],
    }
    return [{name: part for name, part in found.items() if part}]


def _metrics(values: Mapping[str, Any], *, kind: bool = True) -> list[Json]:
    numbers = {
        name: float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }
    typed = {"type": "number"} if kind else {}
    return [{"name": _cut(name, _NAME) or _EMPTY, **typed, "value": value} for name, value in numbers.items()][
        :_FIGURES
    ]


def _details(facts: Facts) -> dict[str, str]:
    known = (
        "manifest_sha256",
        "window_start",
        "window_end",
        "holdout_end",
        "trigger",
        "episode_id",
        "evaluation_uri",
        "baseline_uri",
    )
    found = {name: facts.properties.get(name, "") for name in known} | dict(facts.asked)
    return {name: _cut(value, _SHORT) for name, value in found.items() if value}


def _span(seconds: float) -> str:
    return f"{seconds / 86400:g} days" if seconds >= 86400 else f"{seconds / 3600:g} hours"


def _text(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value)


def _cut(text: str, length: int) -> str:
    """One line of at most so many characters."""
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else " " for letter in text)
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - len(_CUT)] + _CUT
