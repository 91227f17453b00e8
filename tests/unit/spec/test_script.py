"""Training code beside a model file: read and checked, never run, and handed to the steps only."""

from __future__ import annotations

from pathlib import Path

import pytest

from driftloop.spec import SpecError, load_model
from tests.unit.spec.test_faults import GOOD

OWN = GOOD.replace("  window: 60d", "  script: train.py\n  window: 60d")


def write(folder: Path, code: bytes | None, text: str = OWN) -> Path:
    folder = folder / "late_train"
    folder.mkdir()
    (folder / "model.yaml").write_text(text)
    if code is not None:
        (folder / "train.py").write_bytes(code)
    return folder / "model.yaml"


def test_steps_get_its_text_and_functions_do_not(tmp_path: Path) -> None:
    code = b"def fit(matrix, labels, **settings):\n    raise SystemExit('only read')\n"
    spec = load_model(write(tmp_path, code))
    assert spec.for_steps()["training"].pop("source") == code.decode()
    assert "source" not in spec.compiled()["training"]
    without = spec.for_steps()
    del without["training"]["source"]
    assert without == spec.compiled()


def test_a_byte_order_mark_is_no_part_of_it(tmp_path: Path) -> None:
    spec = load_model(write(tmp_path, b"\xef\xbb\xbfdef fit(): ...\n"))
    assert spec.for_steps()["training"]["source"] == "def fit(): ...\n"


def test_a_model_without_code_is_the_same_for_both(tmp_path: Path) -> None:
    spec = load_model(write(tmp_path, None, GOOD))
    assert spec.for_steps() == spec.compiled()


@pytest.mark.parametrize(
    ("code", "place", "reason"),
    [
        (None, "model.yaml:13: training.script:", "put it beside the model file"),
        (b"def fit(:\n", "train.py:1:", "not Python: invalid syntax"),
        (b"import os\n\n\ndef fitt():\n    pass\n", "train.py:1:", "has no function `fit`; see docs/guide/training.md"),
        (b"class A:\n    def fit(self):\n        pass\n", "train.py:1:", "has no function `fit`"),
        (b"\xff\xfe", "train.py:1:", "save it as UTF-8 text"),
        (b"def fit():\n    x = 1\x00\n", "train.py:1:", "null bytes"),
        (b"def fit():\n    pass\n\n\nreturn 3\n", "train.py:5:", "'return' outside function"),
        (b"def fit():\n    pass\n\n\nx = " + b"-" * 50_000 + b"1\n", "train.py:1:", "nested too deeply"),
        (b"#" * (256 * 1024 + 1), "train.py:1:", "larger than 262144 bytes"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(
    tmp_path: Path, code: bytes | None, place: str, reason: str
) -> None:
    path = write(tmp_path, code)
    with pytest.raises(SpecError) as error:
        load_model(path)
    assert str(error.value).startswith(str(path.parent / place))
    assert reason in str(error.value)


@pytest.mark.parametrize("name", ["../train.py", "a/b.py", "train", "train.pyc", "1.py", ".py"])
def test_it_lies_beside_the_model_file(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, None, OWN.replace("train.py", name))
    with pytest.raises(SpecError, match=r"training\.script: .* write the name of a Python file in the model's folder"):
        load_model(path)
