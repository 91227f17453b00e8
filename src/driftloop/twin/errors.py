"""Errors that callers of the twin see, in AWS's form."""

from __future__ import annotations


class ApiError(Exception):
    """An error answer of an AWS API."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


def invalid(message: str) -> ApiError:
    """A request that SageMaker would refuse, or that names something that does not exist."""
    return ApiError("ValidationException", message)


def missing(kind: str, name: str) -> ApiError:
    """SageMaker's answer for something that does not exist."""
    return ApiError("ValidationException", f'Could not find {kind} "{name}".')


def unsupported(what: str) -> ApiError:
    """Something that AWS does and the twin does not: said loudly instead of half done."""
    return ApiError("TwinNotSupported", f"the twin does not support {what}", 501)


LOST = "InternalServerError: the twin was killed meanwhile"
"""Why a job or an execution has failed whose process died with the twin."""
