"""What can go wrong at synth for reasons that people can mend; the text says how."""

from __future__ import annotations


class InfraError(Exception):
    """Root of the errors of infra."""


class UsageError(InfraError):
    """The app was asked for something that it cannot do."""


class DefinitionError(InfraError):
    """A compiled pipeline definition that does not fit what the stacks put in."""


class LimitError(InfraError):
    """A model file asks for more than AWS takes."""
