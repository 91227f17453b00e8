"""A pipeline execution has ended: record what became of its episode, and write the card of what it registered."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from driftloop.aws import batch, wiring
from driftloop.aws.events import PipelineStatusChange, parse_body
from driftloop.loop.track_episode import ENDED

logger = Logger(service="track_episode")


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handle one batch of pipeline events."""
    tracker = wiring.tracker(logger)

    def handle(record: batch.Record) -> str:
        change = parse_body(PipelineStatusChange, record).detail
        if change.current_pipeline_execution_status not in ENDED:
            return f"still {change.current_pipeline_execution_status}"
        episode = tracker.ended(change.pipeline_execution_arn, change.current_pipeline_execution_status)
        if episode is None:
            return "no episode knows this execution: it was started by hand"
        return f"episode {episode.id} of {episode.model}: {episode.status}: {episode.outcome}"

    return batch.process(logger, event, handle)
