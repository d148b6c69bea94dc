"""Files that other users cannot read, and that survive a power cut.

Everything that may hold an event or a profile lies in a directory that is private to its owner.
Permissions of the files themselves are only the second line of defence, because some are written by
libraries, which use the umask of the process.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from .errors import MixpanelError

PRIVATE_DIRECTORY = 0o700
PRIVATE_FILE = 0o600
ROOT = 0
"""User whose files are trusted."""
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)


def make_private(directory: Path) -> None:
    """Create a directory that only its owner may read, or make an existing one so.

    Missing parents are created too, with the permissions of the umask.

    Raises:
        MixpanelError: the directory, or an entry of it, is a link that another user made; or the
            directory belongs to another user and is readable by others.
        OSError: it cannot be created.
    """
    directory.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    if os.name == "nt":  # permissions are inherited from the user's profile there
        return
    refuse_foreign_links(directory)
    found = directory.stat()
    if not stat.S_IMODE(found.st_mode) & _OTHERS:
        return
    if found.st_uid not in {os.geteuid(), ROOT} and os.geteuid() != ROOT:
        raise MixpanelError(
            f"The directory {directory} belongs to another user and can be read by others. Set "
            "DLT_DATA_DIR to a directory that belongs to you."
        )
    with suppress(PermissionError):  # made by root for this user, for instance a mounted volume
        directory.chmod(PRIVATE_DIRECTORY)


def refuse_foreign_links(directory: Path) -> None:
    """Check that neither a directory nor an entry of it is a symbolic link of another user.

    In a shared directory such a link would make us read or overwrite a file of its choice.

    Raises:
        MixpanelError: one of them is.
    """
    for path in (directory, *directory.iterdir()):
        if path.is_symlink() and path.lstat().st_uid not in {os.geteuid(), ROOT}:
            raise MixpanelError(
                f"{path} is a symbolic link that another user made. Remove it, or set DLT_DATA_DIR "
                "to a directory that belongs to you."
            )


def create_private(path: Path) -> BinaryIO:
    """Open a new file for writing that only its owner may read; replaces what has its name.

    Links are never followed.
    """
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, _NEW_FILE, PRIVATE_FILE), "wb")


def replace_durably(path: Path, content: bytes) -> None:
    """Replace a private file at once or not at all, even if the power is cut."""
    beside = path.with_name(f"{path.name}.new")
    with create_private(beside) as file:
        file.write(content)
        flush_to_disk(file)
    beside.replace(path)
    flush_directory(path.parent)


def flush_to_disk(file: BinaryIO) -> None:
    """Wait until everything written to a file is on the disk."""
    file.flush()
    os.fsync(file.fileno())


def flush_directory(directory: Path) -> None:
    """Wait until the names of the files in a directory are on the disk."""
    # Windows, and some network file systems, cannot do this: there a power cut may take back the
    # last changes of names, which readers of these files expect anyway
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
