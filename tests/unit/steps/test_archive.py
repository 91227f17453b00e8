from __future__ import annotations

import io
import tarfile

import pytest

from pipelines.steps.archive import extract
from pipelines.steps.step import StepError


def _archive(*members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, kind, link in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, link
            archive.addfile(member, io.BytesIO())
    return out.getvalue()


@pytest.mark.parametrize(
    "member",
    [
        ("../outside.txt", tarfile.REGTYPE, ""),
        ("code/../../outside.txt", tarfile.REGTYPE, ""),
        ("link", tarfile.SYMTYPE, "/etc/passwd"),
        ("link", tarfile.SYMTYPE, "../../outside.txt"),
        ("hard", tarfile.LNKTYPE, "../outside.txt"),
        ("device", tarfile.CHRTYPE, ""),
    ],
)
def test_nothing_is_written_outside(tmp_path, member):
    with pytest.raises(StepError, match="the archive is not a model archive that can be opened safely"):
        extract(_archive(member), tmp_path / "model", "the archive")
    assert not (tmp_path / "outside.txt").exists()


def test_an_absolute_path_stays_below_the_folder(tmp_path):
    extract(_archive(("/inside.txt", tarfile.REGTYPE, "")), tmp_path / "model", "the archive")
    assert (tmp_path / "model" / "inside.txt").exists()
