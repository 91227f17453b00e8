"""Policies by name."""

from __future__ import annotations

import re
from collections.abc import Callable

from benchmarks.detection.peers import PEERS, PeerPolicy, Worker
from benchmarks.detection.policies import Driftloop, Never, Periodic, Psi
from benchmarks.detection.replay import Policy
from benchmarks.detection.sources import UsageError

DEFAULT = (
    "never", "periodic_14d", "periodic_30d", "periodic_60d", "periodic_7d_fresh", "periodic_14d_fresh",
    "periodic_21d_fresh", "periodic_30d_fresh", "psi_0.2", "psi_0.2_half", "evidently", "nannyml", "nannyml_half",
    "nannyml_cbpe", "driftloop", "driftloop_once", "driftloop_unlabelled",
)  # fmt: skip
GATED = "+gate"
"""At the end of a name: its challengers must beat the champion, too."""
FRESH = "_fresh"
"""At the end of a name: nothing is kept for a gate, so its versions learn from the rows of the holdout, too."""
_PERIOD = re.compile(r"periodic_([1-9]\d{0,2})d")


class Catalog:
    """Makes policies; peers' workers live as long as it does."""

    def __init__(self) -> None:
        self._workers: dict[str, Worker] = {}

    def maker(self, name: str) -> Callable[[], Policy]:
        """Makes a new policy of a name for each replay. Raises UsageError for a name that is not known."""
        base, gated, fresh = _parts(name)
        period = _PERIOD.fullmatch(base)
        if period:
            return lambda: Periodic(int(period[1]), gated, fresh)
        if base in PEERS:
            return lambda: self._peer(base, gated, fresh)
        makers: dict[str, Callable[[], Policy]] = {
            "never": lambda: Never(fresh=fresh),
            "psi_0.2": lambda: Psi(gated=gated, fresh=fresh),
            "psi_0.2_half": lambda: Psi("psi_0.2_half", 0.5, gated, fresh),
            "driftloop": Driftloop,
            "driftloop_once": lambda: Driftloop("driftloop_once", again=False),
            "driftloop_unlabelled": lambda: Driftloop("driftloop_unlabelled", labels=False),
        }
        if base not in makers or (base.startswith("driftloop") and name != base):
            known = f"{', '.join(DEFAULT)}, any periodic_<days>d, and with {FRESH} or {GATED} those that are not driftloop's"
            raise UsageError(f"policy {name!r} is not known; known are {known}")
        return makers[base]

    def missing(self, name: str) -> str:
        """How to install what a policy needs; empty if it is there."""
        peer = PEERS.get(_parts(name)[0])
        if peer is None or peer.installed:
            return ""
        return f"{name} is left out: .venv-peers/{peer.environment} is not installed; run `make peers`"

    def close(self) -> None:
        """End the workers."""
        while self._workers:
            self._workers.popitem()[1].close()

    def _peer(self, name: str, gated: bool, fresh: bool) -> Policy:
        if name not in self._workers:
            self._workers[name] = Worker(PEERS[name])
        return PeerPolicy(name, PEERS[name], self._workers[name], gated, fresh)


def _parts(name: str) -> tuple[str, bool, bool]:
    """Base of a name, and whether it ends in GATED or FRESH."""
    base = name.removesuffix(GATED).removesuffix(FRESH)
    return base, name.endswith(GATED), name.endswith(FRESH)
