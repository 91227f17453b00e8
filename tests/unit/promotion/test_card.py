"""The model card of a version: what it says, and that SageMaker takes it whatever the version is like."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import botocore.session
import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftloop.promotion.card import MOST, Facts, is_written, model_card, write
from driftloop.twin import cards
from tests.fakes import examples as ex

VALIDATOR = cards.validator()
RUN = "s3://artifact-bucket/evaluations/late_train/abc"
EVALUATION: dict[str, Any] = {
    "metric": "log_loss", "rows": 600, "holdout": {"start": "2026-03-18T00:00:00Z", "end": "2026-03-22T00:00:00Z"},
    "challenger": {"log_loss": 0.41, "auc": None, "calibration_error": 0.01, "latency_s": 0.002, "bytes": 90000},
    "champion": {"log_loss": 0.44, "auc": 0.7, "calibration_error": 0.02, "model_data_url": "s3://a/b", "endpoint_config": "c"},
    "baseline_rate_log_loss": 0.6, "slices": {"line": {"north": {"rows": 300, "challenger": 0.4, "champion": 0.45}}},
    "gate": {
        "decision": "promote", "reason": "challenger: log-loss 0.4100 against 0.4400", "advantage": 0.03,
        "lower_bound": 0.012, "margin": 0.0,
    },
    "approval": "PendingManualApproval",
}  # fmt: skip
TRAINING: dict[str, Any] = {
    "windows": {"training": {"start": "2026-03-02T00:00:00Z", "end": "2026-03-22T00:00:00Z"}}, "rows": 3000,
    "positive_rate": 0.3, "seed": 7, "versions": {"python": "3.12.1", "sklearn": "1.9.1"},
    "metrics": {"iterations": 20, "training_log_loss": 0.4, "out_of_time_auc": None},
}  # fmt: skip
FACTS = Facts(
    spec=ex.spec(description="Will a train be late?", gate={"slices": ["line"]}),
    properties={
        "manifest_sha256": "ab" * 32, "trigger": "drift", "episode_id": "e1", "evaluation_uri": f"{RUN}/evaluation.json",
        "window_start": "2026-03-02T00:00:00Z",
    },
    model_data_url="s3://artifact-bucket/models/late_train/abc/model.tar.gz",
    image=ex.IMAGE,
    evaluation=EVALUATION,
    training=TRAINING,
    made_with=ex.spec(training={"hyperparameters": {"max_iter": 20, "learning_rate": 0.1}}),
    asked={"asked_by": "alarm driftloop-late-train-drift", "reason": "threshold crossed", "code": "r1"},
    data_uri="s3://curated/datasets/late_train/abc/manifest/manifest.json",
)  # fmt: skip
EMPTY = Facts(ex.spec(), {}, "", "", {}, {}, {}, {})


def test_it_says_what_the_version_is_for_made_from_and_how_it_was_judged() -> None:
    card = model_card(FACTS)
    VALIDATOR.validate(card)
    assert card["model_overview"] == {"model_creator": "ops@example.com", "model_artifact": [FACTS.model_data_url]}
    uses, training = card["intended_uses"], card["training_details"]
    assert uses["purpose_of_model"] == "Will a train be late?"
    assert "line (category), delay (number, 0 to 100)" in uses["intended_uses"]
    assert "at least 20 rows" in uses["factors_affecting_model_efficiency"]
    assert "3000 rows from 2026-03-02" in training["training_observations"]
    assert "ab" * 32 in training["training_observations"]
    job = training["training_job_details"]
    assert {"name": "learning_rate", "value": "0.1"} in job["user_provided_hyper_parameters"]
    assert {"name": "training_log_loss", "value": 0.4} in job["user_provided_training_metrics"]
    assert job["training_environment"] == {"container_image": [ex.IMAGE]}
    (judged,) = card["evaluation_details"]
    groups = {
        group["name"]: {one["name"]: one["value"] for one in group["metric_data"]} for group in judged["metric_groups"]
    }
    assert (groups["challenger"]["log_loss"], groups["champion"]["log_loss"]) == (0.41, 0.44)
    assert "auc" not in groups["challenger"], "it was not defined"
    assert judged["metadata"]["lower bound with 95% confidence"] == "0.012"
    assert judged["evaluation_observation"].startswith("promote: challenger: ")
    more = card["additional_information"]
    assert "12 hours later" in more["caveats_and_recommendations"]
    assert "each value of line" in more["caveats_and_recommendations"]
    details = more["custom_details"]
    assert (details["trigger"], details["episode_id"], details["asked_by"]) == ("drift", "e1", FACTS.asked["asked_by"])


def test_a_first_version_has_no_champion_and_one_of_own_code_its_file() -> None:
    own = ex.spec(training={"script": "train.py"})
    card = model_card(replace(FACTS, evaluation={**EVALUATION, "champion": None}, made_with=own))
    VALIDATOR.validate(card)
    names = [group["name"] for group in card["evaluation_details"][0]["metric_groups"]]
    assert names == ["challenger", "prediction of the training rate"]
    assert "Trained by train.py" in card["training_details"]["training_observations"]


def test_what_is_gone_is_left_out() -> None:
    card = model_card(EMPTY)
    VALIDATOR.validate(card)
    assert "evaluation_details" not in card
    assert "could not be read" in card["training_details"]["training_observations"]
    assert (
        "custom_details" not in card["additional_information"] or not card["additional_information"]["custom_details"]
    )
    assert card["intended_uses"]["purpose_of_model"] == "The probability that late is 1."


@given(
    st.text(max_size=5000),
    st.floats(),
    st.dictionaries(st.text(max_size=400), st.one_of(st.text(max_size=400), st.floats(), st.none()), max_size=130),
)
def test_sagemaker_takes_it_whatever_people_and_trainers_write(
    text: str, number: float, given_: dict[str, Any]
) -> None:
    spec = ex.spec(training={"hyperparameters": {}})
    spec = {**spec, "owner": text, "description": text, "training": {**spec["training"], "hyperparameters": given_}}
    gate = {**EVALUATION["gate"], "reason": text, "advantage": number, "lower_bound": None}
    facts = replace(
        FACTS, spec=spec, made_with=spec, asked={"reason": text, "asked_by": text},
        properties={"trigger": text}, evaluation={**EVALUATION, "gate": gate, "challenger": given_},
        training={**TRAINING, "metrics": {"a": number, **given_}},
    )  # fmt: skip
    content = write(model_card(facts))
    VALIDATOR.validate(json.loads(content))
    assert "\n" not in content
    assert len(content) <= MOST


def test_the_limit_is_that_of_the_api_and_a_longer_card_is_not_sent() -> None:
    model = botocore.session.get_session().get_service_model("sagemaker")
    assert model.shape_for("ModelCardContent").metadata["max"] == MOST
    with pytest.raises(ValueError, match="has 100014 characters"):
        write({"a": "x" * MOST, "b": 1})


def test_the_schema_refuses_what_it_should() -> None:
    card = model_card(FACTS)
    for change in (
        {"model_package_details": {}},
        {"model_overview": {"model_name": "a"}},
        {"intended_uses": {"risk_rating": "None"}},
        {"evaluation_details": [{"name": "x" * 64}]},
        {"additional_information": {"custom_details": {"a": 1}}},
    ):
        with pytest.raises(jsonschema.ValidationError):
            VALIDATOR.validate({**card, **change})


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("", False),
        ("{}", False),
        ('{"model_overview":{"model_artifact":["s3://a/b"]}}', False),
        ('{"intended_uses":{}}', True),
        (write(model_card(EMPTY)), True),
        ("[]", True),
        ("no JSON", True),
    ],
)
def test_only_what_somebody_has_written_counts_as_a_card(text: str, written: bool) -> None:
    assert is_written(text) is written
