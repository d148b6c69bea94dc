"""The project that a migration reads, through the public API of `mixpanel_source`.

What is read is kept in files until the migration is done, so that it is requested once: exports are
limited to 60 an hour.
"""

from __future__ import annotations

import gzip
import json
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from mixpanel_source import request
from mixpanel_source.api.clock import Clock
from mixpanel_source.config.model import Config
from mixpanel_source.decode.json_values import read_json
from mixpanel_source.files import create_private, flush_to_disk, make_private

from .profiles import profile_lines
from .served import export_lines

logger = logging.getLogger("mixpanel_destination")


@dataclass
class SourceProject:
    """Reads a project."""

    config: Config
    """Settings of the source."""
    directory: Path
    """Where exports are kept."""
    clock: Clock
    max_wait_s: float

    @property
    def settings(self) -> dict[str, Any]:
        """What tells the requests which project to read; the rest is configured."""
        return {"project_id": self.config.project_id}

    def fetch(self, first: date, last: date, *, window_days: int) -> None:
        """Request the exports of all days, except for those that are there."""
        make_private(self.directory)
        day = first
        while day <= last:
            end = min(day + timedelta(days=window_days - 1), last)
            path = self.directory / f"{day}--{end}.jsonl.gz"
            if not path.exists():
                logger.info("Reading events of %s to %s.", day, end)
                self._fetch_window(path, day, end)
            day = end + timedelta(days=1)

    def events(self) -> Iterator[bytes]:
        """The lines of all exports."""
        for path in sorted(self.directory.glob("*.jsonl.gz")):
            with gzip.open(path) as file:
                for line in file:
                    yield line.rstrip(b"\n")

    def profiles(self, group: str | None = None) -> Iterator[bytes]:
        """The profiles of users or, by their `data_group_id`, of groups."""
        return profile_lines(
            self.settings, clock=self.clock, max_wait_s=self.max_wait_s, group=group
        )

    def list_of(self, path: str) -> list[dict[str, Any]]:
        """What an endpoint of the app API lists."""
        with request(
            "GET", path, clock=self.clock, max_wait_s=self.max_wait_s, **self.settings
        ) as response:
            reply = read_json(b"".join(response.chunks()), Counter())
        results = reply.get("results", []) if isinstance(reply, dict) else reply
        return [item for item in results if isinstance(item, dict)]

    def forget(self) -> None:
        """Delete the files."""
        for path in self.directory.glob("*"):
            path.unlink()
        self.directory.rmdir()

    def _fetch_window(self, path: Path, first: date, last: date) -> None:
        lines = export_lines(
            self.settings, str(first), str(last), clock=self.clock, max_wait_s=self.max_wait_s
        )
        beside = path.with_suffix(".part")
        with create_private(beside) as file:
            with gzip.open(file, "wb", compresslevel=1) as packed:
                for line in lines:
                    packed.write(line + b"\n")
            flush_to_disk(file)
        beside.replace(path)


def write_entries(path: Path, entries: list[dict[str, Any]]) -> None:
    """Write Lexicon entries as `lexicon push` takes them."""
    with create_private(path) as file:
        file.write(json.dumps({"entries": entries}).encode())
