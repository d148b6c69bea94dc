"""When the next request may start: one a second, and a number of metered ones in an hour.

`Pace` is pure: the time is an argument, in seconds since the epoch, and nothing here waits. The
hourly quota belongs to the project and outlives this process, so metered requests are logged on
disk: a run that starts right after another knows what that one used.

Source: https://developer.mixpanel.com/reference/rate-limits.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path

from ..config.model import Config
from .retry import HOUR_S

logger = logging.getLogger("mixpanel_source")

KEPT_LINES = 2_000
"""Lines of a log file before those older than an hour are dropped."""


class Pace:
    """Counts requests and tells when the next one may start.

    The hourly bound holds for each quota (`query` and `export` count separately), the spacing over
    all of them.
    """

    def __init__(self, *, per_second: float, per_hour: int) -> None:
        """Start with nothing counted.

        Args:
            per_second: maximum requests per second, over all quotas.
            per_hour: maximum metered requests in a rolling hour, for each quota; 0 for no bound.
        """
        self._spacing_s = 1.0 / per_second
        self._per_hour = per_hour
        self._latest = float("-inf")
        self._metered: dict[str, deque[float]] = {}
        self._closed_until: dict[str, float] = {}

    def next_at(self, quota: str, now: float, *, metered: bool = True) -> float:
        """The earliest time, not before `now`, at which a request may start."""
        # a clock that was set back must not make us wait for the time it showed before
        self._latest = min(self._latest, now)
        earliest = max(now, self._latest + self._spacing_s)
        if not metered:
            return earliest
        earliest = max(earliest, self._closed_until.get(quota, now))
        starts = self._starts(quota, now)
        if self._per_hour and len(starts) >= self._per_hour:
            earliest = max(earliest, starts[-self._per_hour] + HOUR_S)
        return earliest

    def record(self, quota: str, at: float, *, metered: bool = True) -> None:
        """Count a request that Mixpanel had received by `at`."""
        self._latest = at
        if metered:
            self._starts(quota, at).append(at)

    def restore(self, quota: str, starts: Iterable[float]) -> None:
        """Set the metered requests made so far; `starts` ascend."""
        self._metered[quota] = deque(starts)

    def close(self, quota: str, until: float) -> None:
        """Let no metered request start before `until`, as Mixpanel asked."""
        self._closed_until[quota] = max(until, self._closed_until.get(quota, until))

    def finish_at(self, requests: Iterable[tuple[str, int]], now: float) -> float:
        """When the last of `requests` may start if each starts as early as possible.

        Uses this pace up: each of the requests is recorded.

        Args:
            requests: quota and number of metered requests, in the order they are made.
            now: seconds since the epoch.
        """
        for quota, number in requests:
            for _ in range(number):
                now = self.next_at(quota, now)
                self.record(quota, now)
        return now

    def _starts(self, quota: str, now: float) -> deque[float]:
        starts = self._metered.setdefault(quota, deque())
        while starts and starts[0] <= now - HOUR_S:
            starts.popleft()
        if starts and starts[-1] > now:  # the clock was set back
            starts = self._metered[quota] = deque(min(at, now) for at in starts)
        return starts


class RequestLog:
    """Times of the metered requests for one project and host, in seconds since the epoch."""

    def __init__(self, directory: Path, *, project_id: int, host: str) -> None:
        """Use a file in `directory`, which is created with the first request."""
        digest = blake2b(host.encode(), digest_size=4).hexdigest()
        self._path = directory / f"requests-{project_id}-{digest}.log"
        self._unwritten: list[float] = []

    def recent(self, now: float) -> list[float]:
        """The times within the hour before `now`, ascending."""
        return [at for at in self._read() if now - HOUR_S < at <= now]

    def append(self, at: float) -> None:
        """Log a request; only in memory if the disk cannot be written."""
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
            logger.warning("The request just made could not be logged: %s.", error.strerror)

    def _read(self) -> list[float]:
        try:
            lines = self._path.read_text().splitlines()
        except OSError:
            lines = []
        times = [*self._unwritten]
        for line in lines:
            try:
                times.append(float(line))
            except ValueError:  # half a line, written by a process that was killed
                continue
        return sorted(times)


def request_logs(config: Config, directory: Path) -> dict[str, RequestLog]:
    """Quota -> the log of the requests made for the project."""
    hosts = {"query": config.base_url, "export": config.export_base_url}
    return {
        quota: RequestLog(directory, project_id=config.project_id, host=host + quota)
        for quota, host in hosts.items()
    }


def requests_used(config: Config, directory: Path, now: float) -> dict[str, int]:
    """Quota -> requests made in the hour before `now`."""
    logs = request_logs(config, directory)
    return {quota: len(log.recent(now)) for quota, log in logs.items()}


def requests_left(config: Config, directory: Path, now: float) -> dict[str, int]:
    """Quota -> requests that the hour still allows; empty if there is no bound."""
    if not config.requests_per_hour:
        return {}
    used = requests_used(config, directory, now)
    return {quota: max(0, config.requests_per_hour - number) for quota, number in used.items()}


def minimum_seconds(
    config: Config, directory: Path, requests: Iterable[tuple[str, int]], now: float
) -> float:
    """Seconds until the last of `requests` may start, given what was used so far.

    Args:
        config: whose pace to keep.
        directory: where requests are logged.
        requests: quota and number of metered requests, in the order they are made.
        now: seconds since the epoch.
    """
    pace = Pace(per_second=config.requests_per_second, per_hour=config.requests_per_hour)
    for quota, log in request_logs(config, directory).items():
        pace.restore(quota, log.recent(now))
    return pace.finish_at(requests, now) - now
