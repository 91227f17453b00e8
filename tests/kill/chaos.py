"""Kills processes of a deployed twin at random points, and goes on with the loop."""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from pathlib import Path
from random import Random

from driftloop.twin import lifecycle
from driftloop.twin.lifecycle import Twin
from tests.contract.twin.cloud import until
from tests.contract.twin.test_lifecycle import alive, family
from tests.integration.kit import Kit

SEED = "DRIFTLOOP_KILL_SEED"
"""Environment variable with the seed of an earlier run."""
FUNCTION, MODEL, STEP = "lambda_worker.py", "model_server.py", "container_host.py"


class Chaos:
    """A kit whose processes can be killed."""

    def __init__(self, kit: Kit, random: Random) -> None:
        self.kit, self.random = kit, random

    def processes(self, program: str) -> list[int]:
        """Ids of the twin's processes of one kind; of steps without the process that they are forked from."""
        commands = alive(family(self.kit.twin.pid))
        found = sorted(pid for pid, command in commands.items() if program in command)
        return [pid for pid in found if program != STEP or _parent(pid) != self.kit.twin.pid]

    def kill_one(self, program: str) -> None:
        """Kill a process of this kind, as soon as there is one."""
        victims = until(lambda: self.processes(program), 60)
        os.kill(self.random.choice(victims), signal.SIGKILL)

    def kill_twin(self) -> None:
        """Kill the twin and let another one go on; nothing of the first may be left."""
        pids = {self.kit.twin.pid} | set(alive(family(self.kit.twin.pid)))
        folder = self.kit.twin.folder
        os.kill(self.kit.twin.pid, signal.SIGKILL)
        until(lambda: not alive(pids), 30)
        lifecycle.start(folder, attached=True, keep=True)
        twin = Twin.find(folder)
        assert twin
        self.kit = Kit(twin)

    def come_to_rest(self, *queues: str) -> None:
        """Let time pass until all messages have been handled."""
        for _ in range(8):
            self.kit.settle()
            if not any(self.kit.waiting(queue) for queue in queues):
                return
            self.kit.move(self.kit.now() + timedelta(minutes=30))
        raise AssertionError({queue: self.kit.waiting(queue) for queue in queues})


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
