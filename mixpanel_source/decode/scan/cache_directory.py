"""Where the machine code is cached, and what it belongs to; does not need numba itself.

numba's own cache compiles a function again when the file of that function changes, but not when a
function that it calls, in another file, does. Here the whole cache is kept in a directory that is
named by all of the sources and versions that the machine code depends on.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path

_SCAN = Path(__file__).parent
OUTSIDE = ("json_values", "value_types")
"""Modules beside this package whose constants are compiled too."""
COMPLETE = "complete"
"""File in the directory that says that all functions are compiled."""
_PREFIX = "mixpanel-source-"
_KEPT = 4
"""Directories kept beside each other: those of other versions may still be in use."""
_PACKAGES = ("numba", "llvmlite", "numpy")


@cache
def cache_directory() -> Path | None:
    """The directory for the machine code of these sources; None if there is none.

    It is in `NUMBA_CACHE_DIR` if that is set, else beside this file, else in the user's cache.
    """
    digest = sources_digest()
    if digest is None:
        return None
    for parent in _parents():
        directory = parent / f"{_PREFIX}{digest}"
        with suppress(OSError):
            is_new = not directory.exists()
            directory.mkdir(mode=0o755, parents=True, exist_ok=True)
            if not _is_ours(directory):
                continue
            # nothing more is written, as in a container image whose files belong to root
            if (directory / COMPLETE).exists():
                return directory
            tempfile.TemporaryFile(dir=directory).close()
            if is_new:
                _remove_old(parent)
            return directory
    return None


def sources_digest() -> str | None:
    """A digest of what the machine code depends on; None if there are no source files."""
    sources = sorted(_SCAN.glob("*.py"))
    if not sources:
        return None
    sources += [_SCAN.parent / f"{name}.py" for name in OUTSIDE]
    digest = blake2b(digest_size=8)
    for number in (*map(version, _PACKAGES), sys.version):
        digest.update(f"{number}\0".encode())
    for source in sources:
        content = source.read_bytes()
        digest.update(f"{source.name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _parents() -> Iterator[Path]:
    if configured := os.environ.get("NUMBA_CACHE_DIR"):
        yield Path(configured)
    yield _SCAN / "__pycache__"
    with suppress(RuntimeError):  # there is no home directory
        base = os.environ.get("LOCALAPPDATA") or os.environ.get("XDG_CACHE_HOME")
        yield Path(base or Path.home() / ".cache") / "numba"


def _is_ours(directory: Path) -> bool:
    """Whether no other user can have put machine code there."""
    return os.name == "nt" or directory.stat().st_uid in {os.geteuid(), 0}


def _remove_old(parent: Path) -> None:
    """Remove all but the newest directories of machine code."""
    directories = [path for path in parent.glob(f"{_PREFIX}*") if path.is_dir()]
    directories.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for directory in directories[_KEPT:]:
        shutil.rmtree(directory, ignore_errors=True)
