"""Exclusive access to a dataset in object storage, which locks no files.

A lease is an object with a number. The job that creates the next number holds the dataset until the
lease expires, and renews it as long as it works; storage refuses to create an object twice. The
lease of a job that was killed expires, and jobs on the same machine see that its process has ended.
The newest lease is never removed, so that no number is given again.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fsspec import AbstractFileSystem

from ...errors import BusyError, MixpanelError
from ..exclusive import ExclusiveAccess
from ..file_lock import describe_process

logger = logging.getLogger("mixpanel_source")

LEASE_S = 600.0
"""How long a lease lasts; clocks of machines may differ by less."""
_RENEWAL_S = 120.0


@dataclass(frozen=True)
class _Stored:
    """A lease as it is stored."""

    number: int
    holder: str = ""
    process: tuple[str, int] = ("", 0)
    """Machine and number of the process."""
    expires_at: float = 0.0

    @property
    def is_held(self) -> bool:
        """Whether it has not expired, and its process is not known to have ended."""
        return self.expires_at > time.time() and not _has_ended(*self.process)


class Lease(ExclusiveAccess):
    """A lease that this process holds, and renews on a thread of its own."""

    def __init__(self, leases: Leases, stored: _Stored) -> None:
        """Take over a lease that was created."""
        self._leases = leases
        self._stored = stored
        self._ended = threading.Event()
        self._renewal = threading.Thread(target=self._renew, daemon=True)
        self._renewal.start()

    def check(self) -> None:
        """Check that no other job has a newer lease, and that this one has not expired."""
        newest = self._leases.newest()
        if newest.number != self._stored.number or newest.expires_at <= time.time():
            raise MixpanelError(
                f"The lease of {self._leases.subject} was lost, so another job may be loading into "
                "it. This job loads nothing more; what it loaded before is safe. Check the network "
                "and the clock, and run again."
            )

    def release(self) -> None:
        """Let the next job have the dataset at once."""
        self._ended.set()
        self._renewal.join()
        self._leases.write(_Stored(self._stored.number))

    def _renew(self) -> None:
        while not self._ended.wait(_RENEWAL_S):
            try:
                # not one that has expired: another job may have followed
                self.check()
                self._leases.write(self._stored, lasts_s=LEASE_S)
            except Exception as error:  # noqa: BLE001 - of any storage; `check` tells the job in time
                logger.debug("The lease could not be renewed: %s.", type(error).__name__)


class Leases:
    """The leases of a dataset.

    Args:
        filesystem: of the storage.
        prefix: of the paths of the leases.
        subject: what they are for, as in `The lease of ...`.
    """

    def __init__(self, filesystem: AbstractFileSystem, prefix: str, *, subject: str) -> None:
        self._filesystem: Any = filesystem
        self._prefix = prefix
        self.subject = subject

    def acquire(self) -> Lease:
        """Create the next lease.

        Raises:
            BusyError: another job holds the dataset.
        """
        newest = self.newest()
        if newest.is_held:
            raise self._busy(newest.holder)
        stored = _Stored(newest.number + 1, describe_process(), (_machine(), os.getpid()))
        try:
            self.write(stored, lasts_s=LEASE_S, mode="create")
        except FileExistsError:
            raise self._busy(self.newest().holder) from None
        for number in self._numbers():
            if number < stored.number:
                self._filesystem.rm_file(self._path(number))
        return Lease(self, stored)

    def newest(self) -> _Stored:
        """The lease that counts; number 0 if there never was one."""
        number = max(self._numbers(), default=0)
        if not number:
            return _Stored(0)
        stored = json.loads(self._filesystem.cat_file(self._path(number)))
        holder, (machine, process), expires_at = stored
        return _Stored(number, holder, (machine, process), expires_at)

    def write(self, lease: _Stored, *, lasts_s: float = 0.0, mode: str = "overwrite") -> None:
        """Store a lease.

        Args:
            lease: with its number and holder.
            lasts_s: seconds from now; 0 for one that has ended.
            mode: `create` to fail if the number is taken.
        """
        expires_at = time.time() + lasts_s if lasts_s else 0.0
        content = json.dumps([lease.holder, lease.process, expires_at]).encode()
        self._filesystem.pipe_file(self._path(lease.number), content, mode=mode)

    def _numbers(self) -> list[int]:
        self._filesystem.invalidate_cache()
        directory, _, start = self._prefix.rpartition("/")
        try:
            names = [
                path.rpartition("/")[2] for path in self._filesystem.ls(directory, detail=False)
            ]
        except FileNotFoundError:
            return []
        ends = (name.removeprefix(start) for name in names if name.startswith(start))
        return [int(end) for end in ends if end.isdigit()]

    def _path(self, number: int) -> str:
        return f"{self._prefix}{number:09}"

    def _busy(self, holder: str) -> BusyError:
        return BusyError(
            f"Another job that loads into {self.subject} is under way: {holder}. Wait until it has "
            f"ended; if it was killed, wait for {LEASE_S / 60:.0f} minutes."
        )


def _machine() -> str:
    """Identifies the processes that have numbers of their own; empty if the system does not tell.

    The name of a machine does not: containers may share it, and have processes of the same number.
    """
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115 - not a path
    return ""


def _has_ended(machine: str, process: int) -> bool:
    """Whether a process of this machine has ended; False for those of others."""
    if not machine or machine != _machine():
        return False
    return not Path(f"/proc/{process}").exists()
