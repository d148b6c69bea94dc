"""A window's bytes on disk: whole and proven, or refused.

A reply is written as it comes, compressed if Mixpanel compressed it, and read line by line on the
way. It counts only if the transfer and the gzip stream end properly and every line is a row of the
kind expected; only then does the file get its name and its description, and only then may a row of
it go anywhere. What is spooled and not yet loaded is found again after a crash, so nothing is asked
of Mixpanel twice.

The directory is readable by its owner alone. It holds data, never credentials.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from pathlib import Path

from .. import constants
from ..decode.decoder import Decoder, Read
from ..decode.dedup import Index
from ..decode.framing import inflate, iter_row_blocks
from ..errors import MixpanelError, TruncatedError

CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True)
class Spooled:
    """What is known of a verified window on disk."""

    path: Path
    gzipped: bool
    fetched_at: float
    """When the reply that was spooled began, seconds since the epoch."""
    requests: int = 1
    """Requests it took, those that failed included."""
    lines_bytes: int = 0
    """Bytes of the lines, uncompressed."""

    def chunks(self) -> Iterator[bytes]:
        """The bytes as they were received."""
        with self.path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk

    def row_blocks(self) -> Iterator[bytes]:
        """Blocks of whole rows, in the order Mixpanel sent them."""
        return iter_row_blocks(inflate(self.chunks()) if self.gzipped else self.chunks())


@dataclass
class Verified:
    """What reading a window through has shown."""

    index: Index
    lines_bytes: int = 0
    reads: list[Read] = field(default_factory=list)
    """All blocks, if they took at most `constants.KEPT_BYTES` of memory; else the first few."""


def verify(row_blocks: Iterable[bytes], decoder: Decoder) -> Verified:
    """Read a window through and identify its rows.

    Raises:
        TruncatedError: at the first line that is no row of the kind `decoder` identifies.
    """
    verified = Verified(Index())
    room = constants.KEPT_BYTES
    for read in decoder.read_all(row_blocks):
        if read.identities is not None:
            verified.index.extend(read.identities)
        verified.lines_bytes += read.size
        fitted = room >= 0
        room -= read.nbytes
        if room >= 0:
            verified.reads.append(replace(read, identities=None))
        elif fitted:
            # the rest has to be read again anyway; so more of it may be, for the sake of memory
            del verified.reads[len(verified.reads) // 2 :]
    verified.index.settle()
    return verified


class Spool:
    """A directory of verified windows, each under a name that says what was asked."""

    def __init__(self, directory: Path) -> None:
        """Use `directory`, which is made when the first window arrives."""
        self._directory = directory

    def find(self, name: str) -> Spooled | None:
        """The verified window of that name, if it is here."""
        try:
            described = json.loads(self._description(name).read_text())
            found = Spooled(**described | {"path": self._bytes(name)})
        except (OSError, ValueError, TypeError):
            return None
        return found if found.path.exists() else None

    def find_verified(
        self, name: str, decoder: Decoder, *, after: float
    ) -> tuple[Spooled, Verified] | None:
        """The window of that name, read through once more, if a run has left it here unloaded.

        Args:
            name: of the window.
            decoder: what its rows have to be, and how to read them.
            after: seconds since the epoch; what was fetched then or before is of no use.
        """
        spooled = self.find(name)
        if spooled is None or spooled.fetched_at <= after:
            return None
        try:
            return spooled, verify(spooled.row_blocks(), decoder)
        except (OSError, TruncatedError):
            # it was whole when it was written; what became of it since, a new one will mend
            return None

    def write(self, name: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Pass `chunks` on while writing them to the disk under a provisional name.

        Raises:
            MixpanelError: if the disk is full or may not be written.
        """
        with self._writing():
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = self._provisional(name).open("wb")
        whole = False
        try:
            with file:
                for chunk in chunks:
                    with self._writing():
                        file.write(chunk)
                    yield chunk
            whole = True
        finally:
            if not whole:
                self._provisional(name).unlink(missing_ok=True)

    def keep(
        self, name: str, *, gzipped: bool, fetched_at: float, requests: int, lines_bytes: int
    ) -> Spooled:
        """Give what `write` wrote its name, now that it is verified."""
        spooled = Spooled(self._bytes(name), gzipped, fetched_at, requests, lines_bytes)
        description = asdict(spooled) | {"path": spooled.path.name}
        with self._writing():
            self._description(name).unlink(missing_ok=True)
            self._provisional(name).replace(spooled.path)
            # the description is last, and whole or not there: it is what makes a window count
            self._provisional(name).write_text(json.dumps(description))
            self._provisional(name).replace(self._description(name))
        return spooled

    def remove(self, name: str) -> None:
        """Forget a window; nothing happens if it is not here."""
        for path in (self._description(name), self._bytes(name), self._provisional(name)):
            path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Forget all windows."""
        for path in self._directory.glob("*"):
            path.unlink(missing_ok=True)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise MixpanelError(
                f"The spool directory {self._directory} cannot be written: {error.strerror}. Make "
                "room, or set DLT_DATA_DIR to a directory on another disk."
            ) from error

    def _bytes(self, name: str) -> Path:
        return self._directory / f"{name}.jsonl"

    def _description(self, name: str) -> Path:
        return self._directory / f"{name}.json"

    def _provisional(self, name: str) -> Path:
        return self._directory / f"{name}.part"


def spool_name(*parts: object) -> str:
    """A file name for what was asked: readable parts first, then a digest of all of them."""
    readable = "-".join(str(part) for part in parts[:2])
    digest = blake2b(json.dumps([str(part) for part in parts]).encode(), digest_size=6).hexdigest()
    return f"{readable}-{digest}"
