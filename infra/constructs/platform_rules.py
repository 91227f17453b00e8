"""Rules that serve all models: one each, however many models there are."""

from __future__ import annotations

from constructs import Construct

from driftloop.names import PREFIX
from infra import references as ref
from infra.constructs.queue_rule import QueueRule
from infra.references import arn

_ENDED = ["Succeeded", "Failed", "Stopped"]
_CHANGED = ["SageMaker Endpoint State Change", "SageMaker Endpoint Deployment State Change"]


class PlatformRules(Construct):
    """Requests by hand, the end of pipelines and batch jobs, and changes of endpoints."""

    def __init__(self, scope: Construct, id: str) -> None:  # noqa: A002
        super().__init__(scope, id)
        QueueRule(
            self,
            "Requested",
            name=f"{PREFIX}-retraining-requested",
            description="Somebody asks for a retraining",
            pattern={"source": [PREFIX], "detail-type": ["Retraining Requested"]},
            work="retraining",
        )
        QueueRule(
            self,
            "Ended",
            name=f"{PREFIX}-pipeline-ended",
            description="A retraining pipeline has ended",
            pattern={
                "source": ["aws.sagemaker"],
                "detail-type": ["SageMaker Model Building Pipeline Execution Status Change"],
                "detail": {
                    "pipelineArn": [{"prefix": ref.sub(arn("sagemaker", f"pipeline/{PREFIX}-"))}],
                    "currentPipelineExecutionStatus": _ENDED,
                },
            },
            work="episode",
        )
        QueueRule(
            self,
            "Transformed",
            name=f"{PREFIX}-transform-ended",
            description="A batch transform job has ended",
            pattern={
                "source": ["aws.sagemaker"],
                "detail-type": ["SageMaker Transform Job State Change"],
                "detail": {
                    "TransformJobName": [{"prefix": f"{PREFIX}-"}],
                    "TransformJobStatus": ["Completed", "Failed", "Stopped"],
                },
            },
            work="batch",
        )
        QueueRule(
            self,
            "Endpoint",
            name=f"{PREFIX}-endpoint-changed",
            description="An endpoint was created or updated, or a rollout ended",
            pattern={
                "source": ["aws.sagemaker"],
                "detail-type": _CHANGED,
                "detail": {"EndpointName": [{"prefix": f"{PREFIX}-"}]},
            },
            work="endpoint",
        )
        QueueRule(
            self,
            "Rollout",
            name=f"{PREFIX}-rollout-begins",
            description="An endpoint is being updated",
            pattern={
                "source": ["aws.sagemaker"],
                "detail-type": _CHANGED,
                "detail": {"EndpointName": [{"prefix": f"{PREFIX}-"}], "EndpointStatus": ["UPDATING"]},
            },
            work="rollout",
        )
