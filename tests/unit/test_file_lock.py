"""Locked files: who holds them, and file systems that lock none."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from mixpanel_source.destinations.file_lock import is_locked, lock_file
from mixpanel_source.errors import BusyError, MixpanelError

WORDS = {"subject": "Another job", "remedy": "Use a local disk."}


def test_holder_is_named(tmp_path: Path) -> None:
    """A second lock is refused, with the process that holds the first, until it is released."""
    path = tmp_path / "lock"
    assert not is_locked(path)
    held = lock_file(path, **WORDS)
    assert is_locked(path)
    with pytest.raises(BusyError, match=f"^Another job is under way: process {os.getpid()} on "):
        lock_file(path, **WORDS)
    held.release()
    assert not is_locked(path)
    lock_file(path, **WORDS).release()


def test_damaged_holder_is_not_shown(tmp_path: Path) -> None:
    """What is not readable text in the file is left out of the message."""
    path = tmp_path / "lock"
    held = lock_file(path, **WORDS)
    for content in (b"", b"\x1b[31mred", b"\xff\xfe"):
        path.write_bytes(content)
        with pytest.raises(BusyError, match=r"^Another job is under way\. Wait"):
            lock_file(path, **WORDS)
    held.release()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS])
def test_file_system_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A file system that locks no files, as of some networks, is named as the cause."""

    def refuse(_descriptor: int, _operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(MixpanelError, match=r"locks no files\. Use a local disk\.$"):
        lock_file(tmp_path / "lock", **WORDS)
