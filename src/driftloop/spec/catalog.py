"""What SageMaker offers and the kit supports. Anything else is refused at synth, not after an hour of waiting."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

TRAINING_IMAGES: Final = MappingProxyType(
    {
        "sklearn-1.9-0": ("sagemaker-scikit-learn", "1.9-0-cpu-py3"),
        "xgboost-3.2-0": ("sagemaker-xgboost", "3.2-0"),
    }
)
"""Image name in a model file -> repository and tag in the region's SageMaker registry.

The name begins with the library that trains unless the model has code of its own; see pipelines.steps.fitting.
"""

_SIZES = {
    "ml.t3": ("medium", "large", "xlarge", "2xlarge"),
    "ml.m5": ("large", "xlarge", "2xlarge", "4xlarge", "12xlarge", "24xlarge"),
    "ml.m6i": ("large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge"),
    "ml.c5": ("large", "xlarge", "2xlarge", "4xlarge", "9xlarge", "18xlarge"),
    "ml.c6i": ("large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge"),
    "ml.r5": ("large", "xlarge", "2xlarge", "4xlarge", "12xlarge", "24xlarge"),
}

INSTANCE_TYPES: Final = tuple(f"{family}.{size}" for family, sizes in _SIZES.items() for size in sizes)
"""Types that SageMaker offers for training, processing and hosting alike."""
