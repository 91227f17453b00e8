"""What goes wrong is told in words and ends with status 1; only bugs show a traceback."""

from __future__ import annotations

from typing import Any

import click
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
)

from driftloop.ports import DriftloopError
from driftloop.twin.lifecycle import TwinError
from driftloop.twin.removal import RemovalError
from driftloop.twin.toolkit import ToolkitError

_HINT = 'set credentials and a region for AWS, or run eval "$(driftloop env)" for a twin'
_NO_ENVIRONMENT = (NoCredentialsError, PartialCredentialsError, NoRegionError, EndpointConnectionError)


class PlainErrors(click.Group):
    """A group whose commands may raise the kit's and AWS's errors."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except (DriftloopError, TwinError, ToolkitError, RemovalError) as error:
            raise click.ClickException(str(error)) from error
        except ClientError as error:
            said = error.response["Error"]
            reason = f"AWS refused {error.operation_name}: {said['Code']}: {said['Message']}"
            raise click.ClickException(reason) from error
        except BotoCoreError as error:
            reason = str(error).rstrip(".")
            raise click.ClickException(
                f"{reason}; {_HINT}" if isinstance(error, _NO_ENVIRONMENT) else reason
            ) from error
