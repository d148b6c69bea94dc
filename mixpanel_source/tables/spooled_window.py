"""Windows that are on disk and verified: what an earlier run left in the spool."""

from __future__ import annotations

from typing import NamedTuple

from ..decode.blocks import BlockReader
from ..decode.verify import VerifiedWindow, verify
from ..errors import TruncatedError
from .spool import Spool, Spooled


class SpooledWindow(NamedTuple):
    """A window on disk, and what verifying it found."""

    spooled: Spooled
    verified: VerifiedWindow


def find_verified(
    spool: Spool, name: str, reader: BlockReader, *, after: float
) -> SpooledWindow | None:
    """The window that an earlier run left in the spool unloaded, verified again.

    Args:
        spool: where to look.
        name: of the window.
        reader: for the kind of its rows.
        after: seconds since the epoch; a window fetched at this time or before is too old.

    Returns:
        None if there is no such window, or if it is damaged: it is fetched again then.
    """
    spooled = spool.find(name)
    if spooled is None or spooled.fetched_at <= after:
        return None
    try:
        verified = verify(spooled.row_blocks(), reader, directory=spool.directory)
    except (OSError, TruncatedError):
        return None
    return SpooledWindow(spooled, verified) if verified.lines_bytes == spooled.lines_bytes else None
