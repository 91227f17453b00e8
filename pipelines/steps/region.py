"""The region that a job runs in."""

from __future__ import annotations

import os


def region() -> str | None:
    """Region for boto3; None leaves the choice to it.

    Containers are told in different ways: some have AWS_REGION, which boto3 does not read, and a processing job knows
    its own ARN.
    """
    named = os.environ.get("AWS_DEFAULT_REGION") or os.environ.get("AWS_REGION")
    arn = os.environ.get("PROCESSING_JOB_ARN", "").split(":")
    return named or (arn[3] if len(arn) > 3 else None)
