"""Windows on disk: a directory of files, each of which is complete.

A reply is written as it arrives, compressed if Mixpanel compressed it, under a provisional name.
Once it is verified, `Spool.keep` gives the file its name and its description. What is spooled and
not yet loaded is found again after a crash, so that nothing is requested from Mixpanel twice.

A power cut may leave any part of a file unwritten. So files are flushed to the disk before their
description, which holds their size and checksum; both are compared whenever a file is read.

The directory is readable by its owner only. It holds data, never credentials, and encrypted data if
the spool has a cipher.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from glob import escape
from hashlib import blake2b
from pathlib import Path

from ... import constants
from ...errors import MixpanelError
from ...files import create_private, flush_to_disk, make_private, replace_durably
from .cipher import Seal, SpoolCipher
from .files import Fingerprint, Spooled


class Spool:
    """A directory of verified windows, each under a name made from its request."""

    def __init__(self, directory: Path, cipher: SpoolCipher | None = None) -> None:
        """Use `directory`, which is created when the first window arrives.

        Args:
            directory: of the files.
            cipher: encrypts them; None leaves them as they are received.
        """
        self.directory = directory
        self._cipher = cipher
        self._written: dict[str, tuple[Fingerprint, Seal | None]] = {}
        """Provisional file -> what describes it, once it is complete."""

    def find(self, name: str) -> Spooled | None:
        """The window of that name, or None if it is not here, or encrypted in another way."""
        try:
            described = json.loads(self._description(name).read_bytes())
            fingerprint = Fingerprint(*described.pop("fingerprint"))
            sealed = described.pop("seal", None)
            found = Spooled(
                **described,
                path=self._bytes(name),
                fingerprint=fingerprint,
                seal=sealed and Seal(*sealed),
                cipher=self._cipher,
            )
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None
        return found if found.path.exists() and self._reads(found.seal) else None

    def _reads(self, seal: Seal | None) -> bool:
        if seal is None or self._cipher is None:
            return seal is None and self._cipher is None
        return seal.secret_id == self._cipher.secret_id

    def write(self, name: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yields `chunks` while writing them under a provisional name, then flushes them to disk.

        The file is deleted if the iteration ends early.

        Raises:
            MixpanelError: the disk is full or not writable.
        """
        with self._writing():
            make_private(self.directory)
            file = create_private(self._provisional(name))
        written, whole, checked_at = Fingerprint(), False, 0
        encryptor = self._cipher and self._cipher.encryptor()
        try:
            with file:
                for chunk in chunks:
                    stored = encryptor.update(chunk) if encryptor else chunk
                    with self._writing():
                        file.write(stored)
                        if written.size - checked_at > constants.DISK_CHECK_BYTES:
                            checked_at = written.size
                            self._check_room()
                    written = written.extended(stored)
                    yield chunk
                with self._writing():
                    flush_to_disk(file)
            self._written[name] = written, encryptor.seal() if encryptor else None
            whole = True
        finally:
            if not whole:
                self._provisional(name).unlink(missing_ok=True)

    def keep(
        self, name: str, *, gzipped: bool, fetched_at: float, requests: int, lines_bytes: int
    ) -> Spooled:
        """Give the file of `write` its name, now that it is verified.

        Args:
            name: of the window.
            gzipped: see `Spooled`, as the others.
            fetched_at: in seconds since the epoch.
            requests: including failed ones.
            lines_bytes: uncompressed.

        Raises:
            MixpanelError: the disk is full or not writable.
        """
        fingerprint, seal = self._written.pop(name)
        path = self._bytes(name)
        description = {
            "fingerprint": fingerprint,
            "gzipped": gzipped,
            "fetched_at": fetched_at,
            "requests": requests,
            "lines_bytes": lines_bytes,
            "seal": seal,
        }
        with self._writing():
            self._description(name).unlink(missing_ok=True)
            self._provisional(name).replace(path)
            # the description comes last, and at once or not at all: only with it a window counts
            replace_durably(self._description(name), json.dumps(description).encode())
        return Spooled(
            path, fingerprint, gzipped, fetched_at, requests, lines_bytes, seal, self._cipher
        )

    def names(self, start: str) -> set[str]:
        """The names of the windows whose names begin with `start`."""
        return {path.stem for path in self.directory.glob(f"{escape(start)}*.json")}

    def remove(self, name: str) -> None:
        """Delete a window, if it is here."""
        for path in self.directory.glob(f"{escape(name)}.*"):
            path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Delete all windows."""
        for path in self.directory.glob("*"):
            path.unlink(missing_ok=True)

    def _check_room(self) -> None:
        if shutil.disk_usage(self.directory).free < constants.DISK_RESERVE_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise MixpanelError(
                f"The spool directory {self.directory} cannot be written: {error.strerror}. Make "
                "room, or set DLT_DATA_DIR to a directory on another disk."
            ) from error

    def _bytes(self, name: str) -> Path:
        return self.directory / f"{name}.jsonl"

    def _description(self, name: str) -> Path:
        return self.directory / f"{name}.json"

    def _provisional(self, name: str) -> Path:
        return self.directory / f"{name}.part"


def spool_name(*parts: object) -> str:
    """A file name for a request: two readable parts, then a digest of all parts."""
    readable = "-".join(str(part) for part in parts[:2])
    digest = blake2b(json.dumps([str(part) for part in parts]).encode(), digest_size=6).hexdigest()
    return f"{readable}-{digest}"
