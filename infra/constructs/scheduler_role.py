"""What all schedules may do."""

from __future__ import annotations

from constructs import Construct

from infra import references as ref
from infra.constructs.service_role import ServiceRole
from infra.grants import Grant
from infra.references import KEY, arn


class SchedulerRole(Construct):
    """One role for all schedules: they call three functions and fill two queues."""

    def __init__(self, scope: Construct, id: str, key_arn: str) -> None:  # noqa: A002
        super().__init__(scope, id)
        queues = [
            *(ref.queue(work) for work in ("retraining", "batch")),
            *(
                ref.dead_letter_queue(work)
                for work in ("retraining", "batch", "detection", "comparison", "reconciliation")
            ),
        ]
        called = [
            arn("lambda", f"function:{ref.function(name)}") for name in ("detect_drift", "compare_shadow", "reconcile")
        ]
        self.role = ServiceRole(
            self,
            "Role",
            service="scheduler",
            name=ref.sub(ref.SCHEDULER_ROLE),
            grants=[
                Grant(["lambda:InvokeFunction"], called),
                Grant(["sqs:SendMessage"], [arn("sqs", queue) for queue in queues]),
                Grant(["kms:Decrypt", "kms:GenerateDataKey"], [KEY]),
            ],
            values={"KmsKeyArn": key_arn},
            description="Schedules of the kit and of the models",
        )
