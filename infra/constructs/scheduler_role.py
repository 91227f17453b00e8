"""What the schedules of all models may do: call one function and fill one queue."""

from __future__ import annotations

from constructs import Construct

from infra import references as ref
from infra.constructs.service_role import ServiceRole
from infra.grants import Grant
from infra.references import KEY, arn


class SchedulerRole(Construct):
    """One role for all schedules: they all do the same two things."""

    def __init__(self, scope: Construct, id: str, key_arn: str) -> None:  # noqa: A002
        super().__init__(scope, id)
        queues = [ref.queue("retraining"), ref.dead_letter_queue("retraining"), ref.dead_letter_queue("detection")]
        self.role = ServiceRole(
            self,
            "Role",
            service="scheduler",
            name=ref.sub(ref.SCHEDULER_ROLE),
            grants=[
                Grant(["lambda:InvokeFunction"], [arn("lambda", f"function:{ref.function('detect_drift')}")]),
                Grant(["sqs:SendMessage"], [arn("sqs", queue) for queue in queues]),
                Grant(["kms:Decrypt", "kms:GenerateDataKey"], [KEY]),
            ],
            values={"KmsKeyArn": key_arn},
            description="Schedules of the models",
        )
