"""Errors that people can do something about are one line; bugs stay visible."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
)
from click.testing import CliRunner

from driftloop.cli.errors import PlainErrors
from driftloop.ports import NotFoundError
from driftloop.twin.lifecycle import TwinError
from driftloop.twin.removal import RemovalError
from driftloop.twin.toolkit import ToolkitError

from .conftest import Run, refusal

DENIED = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "PutObject")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (NotFoundError("x is gone"), "x is gone"),
        (TwinError("does not answer"), "does not answer"),
        (ToolkitError("cdk deploy failed"), "cdk deploy failed"),
        (RemovalError("s3://b/k cannot be deleted"), "s3://b/k cannot be deleted"),
        (DENIED, "AWS refused PutObject: AccessDenied: no"),
        (NoCredentialsError(), "Unable to locate credentials; set credentials and a region"),
        (NoRegionError(), "You must specify a region; set credentials and a region"),
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:1"), "http://127.0.0.1:1"),
        (ParamValidationError(report="bad"), "Parameter validation failed"),
    ],
)
def test_error_becomes_a_message(error: Exception, told: str) -> None:
    @click.group(cls=PlainErrors)
    def group() -> None: ...

    @group.command()
    def fail() -> None:
        raise error

    result = CliRunner().invoke(group, ["fail"])
    assert result.exit_code == 1
    assert told in result.stderr
    assert "Traceback" not in result.output


def test_bug_is_not_hidden() -> None:
    @click.group(cls=PlainErrors)
    def group() -> None: ...

    @group.command()
    def fail() -> None:
        raise KeyError("bug")

    assert isinstance(CliRunner().invoke(group, ["fail"]).exception, KeyError)


def test_environment_without_a_region_is_told_with_a_hint(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    assert 'eval "$(driftloop env)"' in refusal(run("episodes", "late_train"))
