"""Which metered requests were made in the last hour, kept on disk.

The quota is the project's and outlives our process: a run that starts right after another must
know what that one used up. A line a request, in a file for each project and host.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path

from ..config.model import Config
from .pacing import HOUR_S, Pace, finish_at

logger = logging.getLogger("mixpanel_source")

KEPT_LINES = 2_000
"""Lines of a file before those older than an hour are dropped."""


class RequestLog:
    """The times of the metered requests to one host, in seconds since the epoch."""

    def __init__(self, directory: Path, *, project_id: int, host: str) -> None:
        """Use a file in `directory`, which is made with the first request."""
        digest = blake2b(host.encode(), digest_size=4).hexdigest()
        self._path = directory / f"requests-{project_id}-{digest}.log"
        self._unwritten: list[float] = []

    def recent(self, now: float) -> list[float]:
        """The times within the hour before `now`, ascending."""
        return [at for at in self._read() if now - HOUR_S < at <= now]

    def append(self, at: float) -> None:
        """Note a request; if the disk cannot be written, for as long as this process lives."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            times = self._read()
            if len(times) >= KEPT_LINES:
                kept = [time for time in times if time > at - HOUR_S]
                self._path.write_text("".join(f"{time}\n" for time in kept))
            with self._path.open("a") as file:
                file.write(f"{at}\n")
        except OSError as error:
            self._unwritten.append(at)
            logger.warning("The request just made could not be noted: %s.", error.strerror)

    def _read(self) -> list[float]:
        try:
            lines = self._path.read_text().splitlines()
        except OSError:
            lines = []
        times = [*self._unwritten]
        for line in lines:
            try:
                times.append(float(line))
            except ValueError:  # half a line, of a process that was killed
                continue
        return sorted(times)


def request_logs(config: Config, directory: Path) -> dict[str, RequestLog]:
    """Host family -> the log of the requests made there for the project."""
    hosts = {"query": config.base_url, "export": config.export_base_url}
    return {
        family: RequestLog(directory, project_id=config.project_id, host=host + family)
        for family, host in hosts.items()
    }


def requests_used(config: Config, directory: Path, now: float) -> dict[str, int]:
    """Host family -> requests made in the hour before `now`."""
    logs = request_logs(config, directory)
    return {family: len(log.recent(now)) for family, log in logs.items()}


def requests_left(config: Config, directory: Path, now: float) -> dict[str, int]:
    """Host family -> requests that the hour still allows; empty if nothing bounds them."""
    if not config.requests_per_hour:
        return {}
    used = requests_used(config, directory, now)
    return {family: max(0, config.requests_per_hour - number) for family, number in used.items()}


def least_seconds(
    config: Config, directory: Path, requests: Iterable[tuple[str, int]], now: float
) -> float:
    """Seconds until the last of `requests` may start, after what was used up so far.

    Args:
        config: whose pace to keep.
        directory: where the requests made are noted.
        requests: host family and number, in the order they are made.
        now: seconds since the epoch.
    """
    pace = Pace(per_second=config.requests_per_second, per_hour=config.requests_per_hour)
    for family, log in request_logs(config, directory).items():
        pace.restore(family, log.recent(now))
    return finish_at(pace, requests, now) - now
