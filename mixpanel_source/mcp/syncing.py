"""Starts a sync in a process of its own, which continues when the server ends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from typing_extensions import TypedDict

from ..config.providers import load_config
from ..config.tables import select_tables
from .dataset import Dataset

_CLI = f"{__package__.rpartition('.')[0]}.cli"


class SyncStarted(TypedDict):
    """Whether a sync runs now."""

    started: bool
    running: bool
    process: int


class Syncs:
    """The sync that was started last, if any."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, dataset: Dataset, tables: Sequence[str]) -> SyncStarted:
        """Start a sync, unless the last one still runs.

        Raises:
            ConfigError: a setting is missing, or a table is unknown.
        """
        if self._process is not None and self._process.poll() is None:
            return {"started": False, "running": True, "process": self._process.pid}
        names = select_tables(tables, load_config({}))
        self._process = subprocess.Popen(  # noqa: S603 - our own program, with checked arguments
            [
                *(sys.executable, "-m", _CLI, "sync", "--progress", "off"),
                *("--tables", ",".join(names), "--destination", dataset.destination),
                *("--dataset", dataset.dataset, "--pipeline", dataset.name),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        return {"started": True, "running": True, "process": self._process.pid}
