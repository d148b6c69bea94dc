"""The requests made for a project, in a place that all its processes share.

Mixpanel counts all requests of a project together. So a process holds the log from the
moment it looks whether a request may start until Mixpanel has answered: no two processes with the
same log send at the same time, or together more than the quota allows.

A request is logged before it is sent, and corrected afterwards. One whose process is killed in
between counts.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from ..config.model import Config
from ..files import replace_durably
from .request_table import PostgresLog, is_postgres
from .usage import Usage, usage_from_json

logger = logging.getLogger("mixpanel_source")


class RequestLog(Protocol):
    """The usage of one project's quotas, which one process at a time may change."""

    def read(self) -> Usage:
        """The usage as last written, without waiting for other processes."""

    def hold(self) -> AbstractContextManager[Usage | None]:
        """Keep other processes from changing the usage; None if another process does so now."""

    def write(self, usage: Usage) -> None:
        """Store the usage, from within `hold`."""


class FileLog:
    """A file, locked through another one beside it.

    Where files cannot be written or locked, the log is only in memory: other processes do not see
    its requests.
    """

    def __init__(self, directory: Path, name: str) -> None:
        """Use two files in `directory`, which is created with the first request."""
        self._path = directory / f"{name}.json"
        # threads of this process wait for each other elsewhere, and never inside the library
        self._lock = FileLock(directory / f"{name}.lock", timeout=0, mode=0o600, thread_local=False)
        self._unwritten: Usage | None = None

    def read(self) -> Usage:
        """The usage as last written; none if there is no file, or a damaged one."""
        if self._unwritten is not None:
            return self._unwritten
        try:
            return usage_from_json(self._path.read_bytes())
        except OSError:
            return Usage()

    @contextmanager
    def hold(self) -> Iterator[Usage | None]:
        """Lock the file; None if it is locked."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock.acquire()
        except Timeout:
            yield None
            return
        except (OSError, NotImplementedError) as error:
            self._keep_in_memory(self.read(), error)
            yield self._unwritten
            return
        try:
            yield self.read()
        finally:
            self._lock.release()

    def write(self, usage: Usage) -> None:
        """Replace the file."""
        if self._unwritten is not None:
            return
        try:
            replace_durably(self._path, usage.to_json())
        except OSError as error:
            self._keep_in_memory(usage, error)

    def _keep_in_memory(self, usage: Usage, error: Exception) -> None:
        if self._unwritten is None:
            logger.warning(
                "Requests cannot be logged in %s: %s. Other processes do not see the requests of "
                "this one.",
                self._path.parent,
                getattr(error, "strerror", None) or error,
            )
            self._unwritten = usage


def open_request_log(config: Config, directory: Path) -> RequestLog:
    """The log of the project's requests.

    Args:
        config: its `quota_store` says where the log is.
        directory: where it is if `quota_store` is not set.

    Raises:
        ConfigError: `quota_store` is an address of Postgres, and its driver is not installed.
    """
    # a project is in one region, but a proxy or a sandbox is a Mixpanel of its own
    hosts = f"{config.base_url} {config.export_base_url}"
    digest = blake2b(hosts.encode(), digest_size=4).hexdigest()
    name = f"requests-{config.project_id}-{digest}"
    if config.quota_store and is_postgres(config.quota_store):
        return PostgresLog(config.quota_store, name)
    return FileLog(Path(config.quota_store or directory).expanduser(), name)
