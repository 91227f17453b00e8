"""The model file and its checks."""

from driftloop.spec.loading import SpecError, find_models, load_model, read_model
from driftloop.spec.model import ModelSpec

__all__ = ["ModelSpec", "SpecError", "find_models", "load_model", "read_model"]
