"""SQS batches: a message that fails goes back alone; what was made of the others stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from driftloop.ports import DriftloopError

Record = Mapping[str, Any]


def process(logger: Logger, event: dict[str, Any], handle: Callable[[Record], object]) -> dict[str, Any]:
    """Handle each record; the answer names those that failed, as ReportBatchItemFailures wants it.

    A record that cannot be handled comes back until its queue gives up and keeps it in the dead-letter queue, so
    nothing is lost. Errors that are not the kit's own are bugs or broken services and are logged with their trace.
    """

    def handle_record(record: SQSRecord) -> object:
        logger.append_keys(message_id=record.message_id)
        try:
            outcome = handle(record.raw_event)
        except DriftloopError as error:
            logger.warning("record failed", reason=str(error), kind=type(error).__name__)
            raise
        except Exception:
            logger.exception("record failed")
            raise
        logger.info("record handled", outcome=str(outcome))
        return outcome

    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    return dict(process_partial_response(event=event, record_handler=handle_record, processor=processor))
