"""The predictions of one model wired to AWS, once per process."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable

from driftloop.aws.afterwards import Afterwards
from driftloop.aws.clients import SystemClock, client
from driftloop.aws.emf import emit
from driftloop.aws.endpoints import SageMakerEndpoints
from driftloop.aws.models import SsmModels
from driftloop.aws.objects import S3Objects
from driftloop.aws.settings import PredictSettings
from driftloop.loop.predict import Predictions
from driftloop.names import Metric


def wired(afterwards: Afterwards) -> Predictions:
    """What answers for the model of the function's environment."""
    settings = PredictSettings.from_environment()
    model = SsmModels(client("ssm")).get(settings.model)

    def later(capture: Callable[[], object]) -> None:
        afterwards.do(lambda: _capture(capture, model.name))

    return Predictions(
        model,
        # SageMaker gives a version a minute, and the function has little more: there is no time for a second one.
        SageMakerEndpoints(client("sagemaker-runtime", attempts=1, seconds=58)),
        # What is left of the function's time must do for telling that a capture failed.
        S3Objects(client("s3", attempts=2, seconds=5)),
        SystemClock(),
        settings.live_bucket,
        lambda: str(uuid.uuid4()),
        later,
    )


def _capture(capture: Callable[[], object], model: str) -> None:
    """The client has its answer: a capture that fails is counted, and an alarm tells people."""
    try:
        capture()
    except Exception:
        logging.getLogger(__name__).exception("a prediction was not captured")
        emit(model, {Metric.CAPTURES_LOST: 1})
