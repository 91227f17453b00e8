"""Empty the kit's buckets, which nobody else does: CloudFormation deletes empty ones only."""

from __future__ import annotations

import click

from driftloop.cli.cloud import Cloud
from driftloop.twin.removal import empty_bucket, own_buckets


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
def empty_buckets(yes: bool) -> None:
    """Delete every version of every object of the kit's buckets in the account and region of the environment."""
    cloud = Cloud.of_environment()
    s3 = cloud.client("s3")
    names = own_buckets(s3, cloud.account, cloud.region)
    if not names:
        raise click.ClickException(f"there are no buckets of the kit in {cloud.place}")
    click.echo(f"In {cloud.place}:\n" + "\n".join(f"  {name}" for name in names))
    if not yes:
        click.confirm("Delete all that they hold, every version, for good?", abort=True)
    for name in names:
        click.echo(f"emptied {name}: {empty_bucket(s3, name)} object versions")
