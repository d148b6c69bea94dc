"""Locked files, which exclude the other processes that lock the same file."""

from __future__ import annotations

import errno
import os
import platform
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import BusyError, MixpanelError
from .exclusive import ExclusiveAccess

_UNSUPPORTED = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
"""Errors of file systems that lock no files, such as some network file systems."""
_HOLDER_BYTES = 200


class LockedFile(ExclusiveAccess):
    """A locked file. The operating system unlocks it when the process ends."""

    def __init__(self, lock: FileLock) -> None:
        """Take over a lock that was acquired."""
        self._lock = lock

    def release(self) -> None:
        """Unlock the file, which stays."""
        self._lock.release()


def lock_file(path: Path, *, subject: str, remedy: str) -> LockedFile:
    """Lock a file without waiting.

    Args:
        path: of the file, which is created.
        subject: what the file is locked for, such as `Another job of the pipeline mixpanel`.
        remedy: where to find a file system that locks files, as a sentence.

    Raises:
        BusyError: it is locked, in this process or another.
        MixpanelError: it cannot be created, or its file system locks no files.
    """
    lock = _lock_of(path)
    try:
        lock.acquire()
    except Timeout:
        raise BusyError(
            f"{subject} is under way{_holder(path)}. Wait until it has ended; if it hangs, kill "
            "its process."
        ) from None
    except OSError as error:
        cause = f"The lock file {path} cannot be used: {error.strerror}."
        if error.errno in _UNSUPPORTED:
            raise MixpanelError(f"{cause} Its file system locks no files. {remedy}") from error
        raise MixpanelError(f"{cause} Make its directory writable. {remedy}") from error
    _describe_holder(lock)
    return LockedFile(lock)


def is_locked(path: Path) -> bool:
    """Whether a file is locked, as far as that can be found out."""
    if not path.exists():
        return False
    lock = _lock_of(path)
    try:
        lock.acquire()
    except Timeout:
        return True
    except OSError:
        return False
    lock.release()
    return False


def describe_process() -> str:
    """This process, as the holder of a lock from now on."""
    since = datetime.now(timezone.utc)
    return f"process {os.getpid()} on {platform.node()}, since {since:%Y-%m-%d %H:%M} UTC"


def _lock_of(path: Path) -> FileLock:
    # jobs end on other threads than they begin on, and never wait inside the library; without the
    # operating system, a lock would outlive a process that is killed
    return FileLock(path, timeout=0, thread_local=False, fallback_to_soft=False)


def _describe_holder(lock: FileLock) -> None:
    """Write into the locked file which process holds it, for the messages of others."""
    text = describe_process()
    # through the descriptor of the lock: on network file systems, closing another one unlocks
    descriptor = lock._context.lock_file_fd
    if descriptor is not None:
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.write(descriptor, text.encode()[:_HOLDER_BYTES])


def _holder(path: Path) -> str:
    with suppress(OSError, ValueError):
        text = path.read_text()[:_HOLDER_BYTES]
        return f": {text}" if text.isprintable() and text else ""
    return ""
