"""A process that syncs again and again, and is killed at moments that are told beforehand.

`torture` kills at random instants; here the instants are those between which something happens.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from dlt.common.runtime.collector_base import Collector

from mixpanel_source import open_pipeline, sync
from mixpanel_source.progress import Progress
from tests.integration.jobs import Clock, Lab, as_environment

MOMENTS = (
    "received 1",
    "Extract 3",
    "Normalize 3",
    "Load 1",
    "Load 3",
    "Load 5",
    "Load 6",
    "loaded 1",
)
"""From the first bytes to the end of the load: what happens, and at which time of it. A step of dlt
happens when it begins and whenever a piece of it is done; of a load, a file or a statement."""


class Fate(Progress, Collector):
    """Kills its process the nth time that something happens, as `kill -9` does."""

    def __init__(self, moment: str) -> None:
        """Wait for a moment, out of `MOMENTS`."""
        super().__init__()
        what, number = moment.split()
        self._awaited = what, int(number)
        self._happened: Counter[str] = Counter()

    def bytes_received(self, *_args: object, **_more: object) -> None:
        """Bytes came."""
        self._meet("received")

    def package_loaded(self, *_args: object, **_more: object) -> None:
        """All is in the destination, and the pipeline is still to be told."""
        self._meet("loaded")

    def update(self, name: str, inc: int = 1, *_args: object, **_more: object) -> None:  # noqa: ARG002 - as dlt names it
        """Some pieces of a step of dlt are done; none, where only their number is told."""
        if inc:
            self._meet(self._stage)

    def _start(self, step: str) -> None:
        self._stage = step.partition(" ")[0]
        self._meet(self._stage)

    def _stop(self) -> None:
        pass

    def _meet(self, what: str) -> None:
        self._happened[what] += 1
        if (what, self._happened[what]) == self._awaited:
            os.kill(os.getpid(), signal.SIGKILL)


def kill_syncs(lab: Lab, table: str, moments: Sequence[str]) -> None:
    """Sync a table a few times, a minute after the other, each killed at its moment."""
    command = [sys.executable, "-m", __name__, table, str(lab.clock.now), *moments]
    root = {"PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run(command, env={**os.environ, **as_environment(lab.settings), **root}, check=True)
    lab.clock.advance(seconds=60 * len(moments))


def main(table: str, now: str, *moments: str) -> None:
    """Be the process; what it takes long to import is imported once."""
    clock = Clock()
    clock.now = float(now)
    for moment in moments:
        clock.advance(seconds=60)
        child = os.fork()
        if not child:
            pipeline, fate = open_pipeline(), Fate(moment)
            pipeline.collector = fate
            sync([table], pipeline=pipeline, clock=clock, progress=fate)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status != signal.SIGKILL:
            sys.exit(f"{moment} did not come: {status}")


if __name__ == "__main__":
    main(*sys.argv[1:])
