"""Settings that ministack reads when it is imported: nothing else here may be imported before ``configure``."""

from __future__ import annotations

import os
from pathlib import Path

ACCESS_KEY, SECRET_KEY = "driftlooproot", "driftlooproot"


def configure(port: int, account: str, region: str, folder: Path) -> None:
    """Settings that ministack reads when it is imported. IAM is enforced."""
    os.environ.update(
        GATEWAY_PORT=str(port), BIND_HOST="127.0.0.1", AUTH="true", LAMBDA_EXECUTOR="local", IOT_MTLS_ENABLED="0",
        SFTP_ENABLED="0", MINISTACK_ACCOUNT_ID=account, MINISTACK_REGION=region, MINISTACK_AUTOCREATE_AWS_MANAGED="1",
        AWS_ACCESS_KEY_ID=ACCESS_KEY, AWS_SECRET_ACCESS_KEY=SECRET_KEY, AWS_DEFAULT_REGION=region,
        AWS_EC2_METADATA_DISABLED="true", LOG_LEVEL="WARNING",
        # Idle processes of functions are ended by the virtual clock, in which seconds are days.
        LAMBDA_WARM_TTL_SECONDS="1000000000000", TMPDIR=str(folder),
    )  # fmt: skip
    os.environ.pop("AWS_SESSION_TOKEN", None)
    os.environ.pop("AWS_PROFILE", None)
