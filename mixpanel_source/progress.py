"""What a job tells whoever watches it. It goes one way: nothing here changes what the job does."""

from __future__ import annotations


class Progress:
    """Is told how a job goes, and does nothing about it; a display overrides what it shows.

    The methods are called from the thread that loads and from the one that fetches ahead, so they
    must be quick, and must not raise.
    """

    def planned(self, table: str, days: int) -> None:
        """So many days of a table are still to be fetched, those of this load package included."""

    def asked(self, what: str) -> None:
        """A request was sent; `what` is the table and the days."""

    def received(self, what: str, size: int) -> None:
        """So many bytes came, compressed if they travel so."""

    def waiting(self, what: str, until: float, *, for_quota: bool) -> None:
        """The next request waits until then (epoch seconds), for the quota or for a failure."""

    def took(self, table: str, days: int, rows: int, size: int) -> None:
        """A window is in the load package, with so many days, rows and uncompressed bytes."""

    def loading(self, table: str) -> None:
        """The load package is complete and goes to the destination."""

    def loaded(self, table: str) -> None:
        """The load package is in the destination."""
