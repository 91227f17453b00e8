"""The baseline in force: that of the champion, or of the version that is just being rolled out first."""

from __future__ import annotations

from driftloop.monitoring.baseline import Baseline
from driftloop.names import parse_uri
from driftloop.ports import Ledger, Objects, RetryableError, TerminalError


def baseline_in_force(ledger: Ledger, objects: Objects, model: str) -> Baseline:
    """Baseline to count traffic against. Raises RetryableError if nothing has been deployed yet."""
    serving = ledger.champion(model) or ledger.deployment(model)
    if serving is None:
        raise RetryableError(f"{model} has no version yet")
    return load_baseline(objects, serving.baseline_uri)


_CACHE: dict[str, Baseline] = {}
_CACHED = 64


def load_baseline(objects: Objects, uri: str) -> Baseline:
    """A baseline by its URI; versions never change, so a warm function reads each once.

    Raises NotFoundError, and TerminalError for what is no baseline.
    """
    if uri not in _CACHE:
        if len(_CACHE) >= _CACHED:
            _CACHE.clear()
        text = objects.read(*parse_uri(uri))
        try:
            _CACHE[uri] = Baseline.from_json(text)
        except ValueError as error:
            raise TerminalError(f"{uri} cannot be read: {error}") from error
    return _CACHE[uri]
