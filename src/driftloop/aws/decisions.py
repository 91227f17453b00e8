"""The queue in front of ``deploy_model`` as the Decisions port."""

from __future__ import annotations

import json
from typing import Any

from driftloop.aws.queues import queue_url
from driftloop.names import PREFIX

QUEUE = f"{PREFIX}-deployment"


class SqsDecisions:
    """Says what SageMaker's event about a decision says."""

    def __init__(self, sqs: Any) -> None:
        self._sqs = sqs

    def tell(self, package_arn: str, approval: str) -> None:
        """Have a decision followed (again)."""
        detail = {"ModelPackageArn": package_arn, "ModelApprovalStatus": approval}
        self._sqs.send_message(QueueUrl=queue_url(self._sqs, QUEUE), MessageBody=json.dumps({"detail": detail}))
