"""Windows that are on disk and verified: what an earlier run left in the spool."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Protocol

from ...decode.blocks import BlockReader
from ...decode.verify import VerifiedWindow, verify
from ...errors import TruncatedError
from .files import Spooled
from .spool import Spool


class Read(Protocol):
    """Verifies rows, see `verify.verify` and `verify.read_part`."""

    def __call__(
        self, row_blocks: Iterable[bytes], reader: BlockReader, *, directory: Path | None
    ) -> VerifiedWindow:
        """Read rows and identify them."""


class SpooledWindow(NamedTuple):
    """A window on disk, and what verifying it found."""

    spooled: Spooled
    verified: VerifiedWindow


def find_verified(
    spool: Spool, name: str, reader: BlockReader, *, after: float, read: Read = verify
) -> SpooledWindow | None:
    """The window that an earlier run left in the spool unloaded, verified again.

    Args:
        spool: where to look.
        name: of the window.
        reader: for the kind of its rows.
        after: seconds since the epoch; a window fetched at this time or before is too old.
        read: verifies the rows.

    Returns:
        None if there is no such window, or if it is damaged: it is fetched again then.
    """
    spooled = spool.find(name)
    if spooled is None or spooled.fetched_at <= after:
        return None
    try:
        verified = read(spooled.row_blocks(), reader, directory=spool.directory)
    except (OSError, TruncatedError):
        return None
    return SpooledWindow(spooled, verified) if verified.lines_bytes == spooled.lines_bytes else None
