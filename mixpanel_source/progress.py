"""Progress events of a job, for displays; nothing here changes what the job does."""

from __future__ import annotations


class Progress:
    """Receives progress events and ignores them; a display overrides the methods it needs.

    `table` is always the table that was selected, `annotations` for `annotation_tags` too. Methods
    are called from the thread that loads and from the one that prefetches, so they must return
    quickly and must not raise.
    """

    def days_planned(self, table: str, days: int) -> None:
        """Days of a table that are still to be fetched, those of the current package included."""

    def request_sent(self, table: str, detail: str) -> None:
        """A request was sent; `detail` is the part, window or page, empty for the whole table."""

    def bytes_received(self, table: str, size: int) -> None:
        """Bytes of a reply arrived, as they travel: compressed if the reply is."""

    def waiting(self, table: str, until: float, *, for_quota: bool) -> None:
        """The next request waits until then (epoch seconds), for the quota or to retry."""

    def window_loaded(self, table: str, *, days: int, rows: int, size: int) -> None:
        """A window is complete in the load package; `size` is its uncompressed bytes."""

    def package_loading(self, table: str) -> None:
        """The load package is complete and goes to the destination."""

    def package_loaded(self, table: str) -> None:
        """The load package is in the destination."""
