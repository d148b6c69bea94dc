"""Takes windows from an archive, as if they had been fetched."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ...decode.blocks import BlockReader
from ...decode.verify import VerifiedWindow
from ..spool.files import Spooled
from ..spool.spool import Spool, spool_name
from ..spool.windows import find_verified
from .archive import Archive
from .manifest import ArchivedFile


class TakenFile(NamedTuple):
    """A file of an archive, copied to the spool and verified there like a reply."""

    name: str
    """In the spool."""
    spooled: Spooled
    verified: VerifiedWindow


def take_file(
    archive: Archive,
    file: ArchivedFile,
    spool: Spool,
    reader: BlockReader,
    check: Callable[[], None] = lambda: None,
) -> TakenFile:
    """Copy a file of an archive to the spool, unless an earlier run has, and verify it.

    Args:
        archive: to read.
        file: of the archive.
        spool: where it goes.
        reader: for the kind of its rows.
        check: called for each chunk; raises to stop.

    Raises:
        MixpanelError: the file is damaged, was changed or cannot be read.
    """
    name = spool_name(file.table, file.day, archive.project_id, file.sha256, file.fetched_at)
    found = find_verified(spool, name, reader, after=0.0)
    if found is None:
        for _ in spool.write(name, archive.chunks(file)):
            check()
        spool.keep(
            name,
            gzipped=True,
            fetched_at=file.fetched_at,
            requests=0,
            lines_bytes=file.lines_bytes,
        )
        found = find_verified(spool, name, reader, after=0.0)
    if found is None or len(found.verified.index) != file.rows:
        spool.remove(name)
        raise archive.damaged(file)
    return TakenFile(name, *found)
