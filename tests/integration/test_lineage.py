"""From a prediction back to the rows that taught its version, and from a row to the data sets that hold it."""

from __future__ import annotations

import json

import pytest

from driftloop.names import ModelNames

from .examples import BEGIN, DAYS, PER_DAY, TRAIN, trips
from .kit import Kit


@pytest.fixture(scope="module")
def asked(served: Kit) -> str:
    """Id of a row that the endpoint has answered."""
    line, _ = trips(BEGIN.replace(hour=0), 1, seed=100)[0]
    row = "asked-once"
    served.predict(TRAIN, [f"{row},{line.partition(',')[2]}"])
    served.settle()
    return row


def test_a_prediction_is_traced_to_what_taught_its_version(served: Kit, asked: str) -> None:
    told = json.loads(served.done("trace", asked, "--model", TRAIN, "--json"))
    champion = served.ledger.champion(TRAIN)
    assert champion
    assert (told["version"], told["model_package_arn"]) == (champion.version, champion.package_arn)
    assert told["label"] is None
    assert 0 < told["score"] < 1
    assert asked in served.read(told["capture"]["uri"].partition("/capture/")[2].join(("capture/", ""))).decode()
    assert told["evaluation"]["gate"]["decision"] == "promote"
    assert told["data"]["state"] == "as it was written"
    assert told["data"]["files"]["training/rows.csv"]["rows"] > 1000
    assert all(source["key"].startswith(f"history/{TRAIN}/") for source in told["data"]["sources"])
    [episode] = [e for e in served.episodes(TRAIN) if e.id == told["episode"]["id"]]
    assert (told["code"], told["episode"]["reason"]) == (episode.revision, "the first version")


def test_it_is_told_in_words(served: Kit, asked: str) -> None:
    told = served.done("trace", asked, "--date", f"{BEGIN:%Y-%m-%d}", "--model", TRAIN)
    for words in (
        f"row         {asked} of {TRAIN}",
        "no label yet",
        "as it was written",
        "asked       manual by arn:aws:",
    ):
        assert words in told
    unknown = served.run("trace", "nobody", "--model", TRAIN)
    assert unknown.exit_code == 1
    assert "no row 'nobody' of" in unknown.output
    assert "no request of this id" in unknown.output
    assert "say which --model" in served.run("trace", asked).output


def test_a_request_is_traced_by_the_id_that_its_client_gave_it(served: Kit) -> None:
    rows = [f"order-7-{line}" for line, _ in trips(BEGIN.replace(hour=0), 3, seed=101)]
    served.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=ModelNames(TRAIN).base,
        ContentType="text/csv",
        Body="\n".join(rows).encode(),
        InferenceId="order-7",
    )
    served.settle()
    told = json.loads(served.done("trace", "order-7", "--model", TRAIN, "--json"))
    assert [row["id"] for row in told["rows"]] == [row.partition(",")[0] for row in rows]
    assert all(0 < row["score"] < 1 for row in told["rows"])
    champion = served.ledger.champion(TRAIN)
    assert champion
    assert (told["inference_id"], told["model_package_arn"]) == ("order-7", champion.package_arn)
    assert (told["data"]["state"], told["episode"]["reason"]) == ("as it was written", "the first version")
    now = served.now()
    hour = ("--date", f"{now:%Y-%m-%d}", "--hour", now.hour)
    by_event = served.done("trace", told["capture"]["event_id"], "--model", TRAIN, *hour)
    assert f"version     {champion.version} ({champion.package_arn})" in by_event
    by_row = json.loads(served.done("trace", told["rows"][1]["id"], "--model", TRAIN, "--json"))
    assert (by_row["capture"], by_row["version"]) == (told["capture"], told["version"])


def test_data_sets_are_listed_and_shown(served: Kit) -> None:
    line = served.done("data", "show", TRAIN)
    digits = line.split()[0]
    assert f"{16 * PER_DAY} rows" in line
    shown = served.done("data", "show", TRAIN, digits)
    assert f"sources   {DAYS} objects" in shown
    assert json.loads(served.done("data", "show", TRAIN, digits, "--json"))["manifest_sha256"].startswith(digits)
    assert "0 objects added" in served.done("data", "diff", TRAIN, digits, digits)
    missed = served.run("data", "show", TRAIN, "0000000")
    assert "no data set has a hash or an execution that begins with 0000000; the closest is" in missed.output


def test_a_row_is_traced_to_the_data_sets_that_were_read_from_it(served: Kit) -> None:
    found = json.loads(served.done("data", "trace", TRAIN, "T0312-7", "--json"))
    assert found["objects"] == [f"s3://{served.bucket('curated')}/history/{TRAIN}/2026-03-12.csv"]
    assert len(found["data_sets"]) == 1
    assert "no labelled or imported row" in served.run("data", "trace", TRAIN, "nobody").output


def test_a_manifest_that_was_changed_is_noticed(served: Kit) -> None:
    [key] = [key for key in served.keys(f"datasets/{TRAIN}/", "curated") if key.endswith("manifest.json")]
    content = served.read(key, "curated")
    served.put(key, content.replace(b'"origin": "history"', b'"origin": "hearsay"', 1), "curated")
    try:
        assert "not what its hash was made of" in served.done("data", "show", TRAIN)
    finally:
        served.put(key, content, "curated")
