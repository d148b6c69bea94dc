"""Exclusive access to a dataset, which a job holds from its first request to its last load."""

from __future__ import annotations


class ExclusiveAccess:
    """Access where the destination has nothing to lock with, or excludes other writers itself."""

    def check(self) -> None:
        """Check that no other job can have had access since it was acquired.

        Raises:
            MixpanelError: it was lost; another job may be loading.
        """

    def release(self) -> None:
        """Let other jobs have access."""
