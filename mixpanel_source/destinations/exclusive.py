"""Exclusive access to a dataset, which a job holds from its first request to its last load."""

from __future__ import annotations

from ..errors import BusyError


class ExclusiveAccess:
    """Access where the destination has nothing to lock with, or excludes other writers itself."""

    def check(self) -> None:
        """Check that no other job can have had access since it was acquired.

        Raises:
            MixpanelError: it was lost; another job may be loading.
        """

    def watch(self, max_wait_s: float) -> None:
        """Log statements that wait for a lock of another program, and end them in time.

        Args:
            max_wait_s: maximum seconds a statement may wait.
        """

    @property
    def interruption(self) -> BusyError | None:
        """Why a statement that waited for too long was ended; None if none was."""
        return None

    def release(self) -> None:
        """Let other jobs have access."""
