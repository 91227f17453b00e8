"""History: strict about every row, one object a day, and never a row lost that was there before."""

from __future__ import annotations

from pathlib import Path

import pytest

from driftloop.names import ModelNames, bucket
from tests.fakes.examples import NAME

from .conftest import ACCOUNT, REGION, Account, Run, refusal

HEADER = "trip,departure,line,delay,late"
ROWS = ("A,2026-03-02T10:00:00Z,north,1.5,0", "B,2026-03-02T23:30:00-01:00,south,,1", "C,2026-03-02T09:00:00Z,,2.0,1")
FIRST, SECOND = f"history/{NAME}/2026-03-02.csv", f"history/{NAME}/2026-03-03.csv"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "rows.csv", *ROWS)


def write(path: Path, *rows: str) -> Path:
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return path


def test_rows_land_by_utc_day_in_order_of_time(account: Account, run: Run, file: Path) -> None:
    result = run("history", "import", NAME, file)
    assert result.exit_code == 0, result.output
    assert f"3 rows of {NAME} in 2 days: 2 objects written, 0 as they were" in result.output
    assert account.history() == {
        FIRST: f"{HEADER}\nC,2026-03-02T09:00:00Z,,2.0,1\nA,2026-03-02T10:00:00Z,north,1.5,0\n",
        SECOND: f"{HEADER}\nB,2026-03-03T00:30:00Z,south,,1\n",
    }


def test_second_import_writes_nothing(account: Account, run: Run, file: Path) -> None:
    run("history", "import", NAME, file)
    assert "0 objects written, 2 as they were" in run("history", "import", NAME, file).output
    assert account.versions(bucket("curated", ACCOUNT, REGION)) == 2


def test_further_rows_of_a_day_are_added_and_the_newer_one_of_an_id_stays(
    account: Account, run: Run, file: Path, tmp_path: Path
) -> None:
    run("history", "import", NAME, file)
    more = write(tmp_path / "more.csv", "D,2026-03-02T09:30:00Z,west,3.0,0", "A,2026-03-02T10:00:00Z,north,1.5,1")
    assert "1 objects written" in run("history", "import", NAME, more).output
    lines = account.history()[FIRST].splitlines()[1:]
    assert [line[0] for line in lines] == ["C", "D", "A"]
    assert lines[2].endswith(",1")


def test_replace_drops_what_the_days_held(account: Account, run: Run, file: Path, tmp_path: Path) -> None:
    run("history", "import", NAME, file)
    run("history", "import", NAME, write(tmp_path / "d.csv", "D,2026-03-02T09:30:00Z,west,3.0,0"), "--replace")
    assert account.history()[FIRST].splitlines()[1:] == ["D,2026-03-02T09:30:00Z,west,3.0,0"]
    assert SECOND in account.history()


def test_every_fault_is_told_with_its_line_and_nothing_is_written(account: Account, run: Run, tmp_path: Path) -> None:
    bad = write(
        tmp_path / "bad.csv", ROWS[0], "B,yesterday,north,1,0", "C,2026-03-02T10:00:00Z,north,many,0", "D,x",
        "E,2026-03-02T10:00:00Z,north,1,2", ",2026-03-02T10:00:00Z,north,1,0", "F,2026-03-02T10:00:00Z,north,1e999,0",
        "A,2026-03-02T11:00:00Z,north,1,0",
    )  # fmt: skip
    result = run("history", "import", NAME, bad)
    assert result.exit_code == 1
    told = [line.removeprefix(f"{bad}: ") for line in result.stderr.splitlines()[1:]]
    assert told == [
        "line 3: time 'yesterday' is not ISO-8601",
        "line 4: delay 'many' is not a number",
        "line 5: has 2 cells where the header has 5",
        "line 6: label '2' is not 0 or 1",
        "line 7: id '' is empty, too long or not printable",
        "line 8: delay '1e999' is not finite",
        "line 9: id 'A' is on line 2 already",
    ]
    assert account.history() == {}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"trip,departure,line,late\n", "header is not trip,departure,line,delay,late: missing ['delay']"),
        (b"trip,departure,delay,line,late\n", "the order differs"),
        (b"", "header is not"),
        (b"\xff\xfe\x00", "not a CSV file in UTF-8"),
    ],
)
def test_file_of_another_form_is_refused(account: Account, run: Run, tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "other.csv"
    path.write_bytes(content)
    result = run("history", "import", NAME, path)
    assert result.exit_code == 1
    assert told in result.stderr


def test_file_without_rows_or_that_is_not_there_is_refused(account: Account, run: Run, tmp_path: Path) -> None:
    assert "no rows below the header" in refusal(run("history", "import", NAME, write(tmp_path / "none.csv")))
    assert "No such file" in refusal(run("history", "import", NAME, tmp_path / "gone.csv"))
    assert "Is a directory" in refusal(run("history", "import", NAME, tmp_path))


def test_object_with_other_columns_is_not_overwritten_unasked(account: Account, run: Run, file: Path) -> None:
    account.s3.put_object(Bucket=bucket("curated", ACCOUNT, REGION), Key=FIRST, Body=b"trip,late\n")
    assert f"{FIRST} cannot be read any more" in refusal(run("history", "import", NAME, file))
    assert account.history()[FIRST] == "trip,late\n"
    assert run("history", "import", NAME, file, "--replace").exit_code == 0


def test_unknown_models_are_told_with_those_that_are_deployed(account: Account, run: Run, file: Path) -> None:
    told = refusal(run("history", "import", "early_train", file))
    assert told == (f"no model 'early_train' is deployed to account {ACCOUNT} in {REGION}; deployed there: {NAME}")
    account.ssm.delete_parameter(Name=ModelNames(NAME).parameter)
    assert "deployed there: none" in refusal(run("history", "import", NAME, file))


@pytest.mark.parametrize("name", ["late-train", "../x", "Late", "x", "", "a" * 60])
def test_names_that_no_model_can_have_are_refused(account: Account, run: Run, file: Path, name: str) -> None:
    assert "cannot be the name of a model" in refusal(run("history", "import", name, file))
