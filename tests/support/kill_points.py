"""Kills a sync at chosen points of its work.

`random_kills` kills at random instants; the points here are those between which the state on disk
or in the destination changes.
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
from tests.support.clock import Clock
from tests.support.lab import Lab
from tests.support.settings import as_environment

KILL_POINTS = (
    "received 1",
    "Extract 3",
    "Normalize 3",
    "Load 1",
    "Load 3",
    "Load 5",
    "Load 6",
    "loaded 1",
)
"""From the first bytes received to the end of the load: a kind of event and its occurrence.

A step of dlt occurs when it begins and whenever a part of it is done, such as a loaded file.
"""


class Killer(Progress, Collector):
    """Progress receiver that kills its process at a point, as `kill -9` does."""

    def __init__(self, point: str) -> None:
        """Wait for one of `KILL_POINTS`."""
        super().__init__()
        kind, occurrence = point.split()
        self._point = kind, int(occurrence)
        self._occurred: Counter[str] = Counter()

    def bytes_received(self, *_args: object, **_more: object) -> None:
        """Count bytes received."""
        self._count("received")

    def package_loaded(self, *_args: object, **_more: object) -> None:
        """Count packages that are in the destination but not yet marked as loaded."""
        self._count("loaded")

    def update(self, name: str, inc: int = 1, *_args: object, **_more: object) -> None:  # noqa: ARG002 - dlt passes the name
        """Count parts done of a step of dlt; calls with 0 only announce a total."""
        if inc:
            self._count(self._step)

    def _start(self, step: str) -> None:
        self._step = step.partition(" ")[0]
        self._count(self._step)

    def _stop(self) -> None:
        pass

    def _count(self, kind: str) -> None:
        self._occurred[kind] += 1
        if (kind, self._occurred[kind]) == self._point:
            os.kill(os.getpid(), signal.SIGKILL)


def kill_syncs(lab: Lab, table: str, points: Sequence[str], *, destination: str = "duckdb") -> None:
    """Start a sync of a table for each point, a minute apart, and kill it there.

    Raises:
        CalledProcessError: A sync ended without reaching its point.
    """
    arguments = [destination, table, str(lab.clock.now), *points]
    command = [sys.executable, "-m", __name__, *arguments]
    root = {"PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run(command, env={**os.environ, **as_environment(lab.settings), **root}, check=True)
    lab.clock.advance(seconds=60 * len(points))


def main(destination: str, table: str, now: str, *points: str) -> None:
    """Fork a process for each sync, so that all share one slow import of the package."""
    clock = Clock(float(now))
    for point in points:
        clock.advance(seconds=60)
        child = os.fork()
        if not child:
            pipeline, killer = open_pipeline(destination), Killer(point)
            pipeline.collector = killer
            sync([table], pipeline=pipeline, clock=clock, progress=killer)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status != signal.SIGKILL:
            sys.exit(f"{point} was not reached: {status}")


if __name__ == "__main__":
    main(*sys.argv[1:])
