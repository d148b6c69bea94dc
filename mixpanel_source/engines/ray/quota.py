"""Hands out the project's quota: an actor holds the log of requests, and workers ask it for turns.

The log is the one that a job in a single process uses, so jobs on other machines and other
processes of this one are counted too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Condition
from typing import Any

import ray

from ...api.request_log import open_request_log
from ...api.usage import Usage, usage_from_json
from ...config.model import Config


class Quota:
    """The log of a project's requests, for one holder at a time; an actor of several threads."""

    def __init__(self, config: Config, directory: Path) -> None:
        """Open the log.

        Args:
            config: says where the log is.
            directory: where it is otherwise.
        """
        self._log = open_request_log(config, directory)
        self._holder = ""
        self._ended: set[str] = set()
        """Holders that need no further turn."""
        self._turn = ExitStack()
        self._changed = Condition()

    def read(self) -> bytes:
        """The usage as last written, as JSON."""
        return self._log.read().to_json()

    def hold(self, holder: str) -> bytes | None:
        """Give the turn to a holder once no other has it, with the usage as JSON.

        Returns:
            None if another job has it: how long to wait for that, the holder decides.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._holder or holder in self._ended)
            if holder in self._ended:
                return None
            with ExitStack() as stack:
                usage = stack.enter_context(self._log.hold())
                if usage is None:
                    return None
                self._turn = stack.pop_all()
            self._holder = holder
            return usage.to_json()

    def write(self, holder: str, usage: bytes) -> None:
        """Store the usage, if the holder still has the turn."""
        if holder == self._holder:
            self._log.write(usage_from_json(usage))

    def release(self, holder: str) -> None:
        """End the turn of a holder, if it has it."""
        with self._changed:
            if holder == self._holder:
                self._holder = ""
                self._turn.close()
                self._changed.notify_all()

    def end(self, holder: str) -> None:
        """End the turn of a holder whose task is over, or whose worker is dead."""
        with self._changed:
            self._ended.add(holder)
            self._changed.notify_all()
        self.release(holder)


class QuotaLog:
    """The log as workers see it: a `RequestLog` that asks the actor."""

    def __init__(self, quota: Any, holder: str) -> None:  # noqa: ANN401 - a handle of an actor has no type
        """Use an actor.

        Args:
            quota: handle of the actor `Quota`.
            holder: identifies the task, so that its turn can be ended if its worker dies.
        """
        self._quota = quota
        self._holder = holder

    def read(self) -> Usage:
        """The usage as last written."""
        return usage_from_json(ray.get(self._quota.read.remote()))

    @contextmanager
    def hold(self) -> Iterator[Usage | None]:
        """Take the turn; None if somebody else has it."""
        usage = ray.get(self._quota.hold.remote(self._holder))
        if usage is None:
            yield None
            return
        try:
            yield usage_from_json(usage)
        finally:
            ray.get(self._quota.release.remote(self._holder))

    def write(self, usage: Usage) -> None:
        """Store the usage, from within `hold`."""
        ray.get(self._quota.write.remote(self._holder, usage.to_json()))
