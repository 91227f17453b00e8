"""Policies by name."""

from __future__ import annotations

import re
from collections.abc import Callable

from benchmarks.detection.peers import PEERS, PeerPolicy, Worker
from benchmarks.detection.policies import Driftloop, Never, Periodic, Psi
from benchmarks.detection.replay import Policy
from benchmarks.detection.sources import UsageError

DEFAULT = (
    "never", "periodic_14d", "periodic_30d", "periodic_60d", "psi_0.2", "psi_0.2_half", "evidently", "nannyml",
    "nannyml_half", "nannyml_cbpe", "driftloop", "driftloop_once", "driftloop_unlabelled",
)  # fmt: skip
GATED = "+gate"
"""At the end of a name: its challengers must beat the champion, too."""
_PERIOD = re.compile(r"periodic_([1-9]\d{0,2})d")


class Catalog:
    """Makes policies; peers' workers live as long as it does."""

    def __init__(self) -> None:
        self._workers: dict[str, Worker] = {}

    def maker(self, name: str) -> Callable[[], Policy]:
        """Makes a new policy of a name for each replay. Raises UsageError for a name that is not known."""
        base, gated = name.removesuffix(GATED), name.endswith(GATED)
        period = _PERIOD.fullmatch(base)
        if period:
            return lambda: Periodic(int(period[1]), gated)
        if base in PEERS:
            return lambda: self._peer(base, gated)
        makers: dict[str, Callable[[], Policy]] = {
            "never": Never,
            "psi_0.2": lambda: Psi(gated=gated),
            "psi_0.2_half": lambda: Psi("psi_0.2_half", 0.5, gated),
            "driftloop": Driftloop,
            "driftloop_once": lambda: Driftloop("driftloop_once", again=False),
            "driftloop_unlabelled": lambda: Driftloop("driftloop_unlabelled", labels=False),
        }
        if base not in makers:
            raise UsageError(f"policy {name!r} is not known; known are {', '.join(DEFAULT)}, any periodic_<days>d")
        return makers[base]

    def missing(self, name: str) -> str:
        """How to install what a policy needs; empty if it is there."""
        peer = PEERS.get(name.removesuffix(GATED))
        if peer is None or peer.installed:
            return ""
        return f"{name} is left out: .venv-peers/{peer.environment} is not installed; run `make peers`"

    def close(self) -> None:
        """End the workers."""
        while self._workers:
            self._workers.popitem()[1].close()

    def _peer(self, name: str, gated: bool) -> Policy:
        if name not in self._workers:
            self._workers[name] = Worker(PEERS[name])
        return PeerPolicy(name, PEERS[name], self._workers[name], gated)
