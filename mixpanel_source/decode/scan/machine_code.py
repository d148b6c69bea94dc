"""The cache of machine code: where it is, and what it belongs to.

numba's own cache compiles a function again when the file of that function changes, but not when a
function that it calls, in another file, does. Here the whole cache is kept in a directory that is
named by all of the sources and versions that the machine code depends on.

A damaged file is never used: numba would fail on it, or run what is left of the code.
"""

from __future__ import annotations

import os
import pickle
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from numba.core import caching
from numba.core import config as _config
from numba.misc.appdirs import AppDirs

config: Any = _config
_SCAN = Path(__file__).parent
OUTSIDE = ("json_values", "value_types")
"""Modules beside this package whose constants are compiled too."""
_PREFIX = "mixpanel-source-"
_KEPT = 4
"""Directories kept beside each other: those of other versions may still be in use."""
_DIGEST_BYTES = 16


def enable_cache(dispatcher: Any) -> None:
    """Cache the machine code of a function if some directory for it can be written."""
    if cache_directory() is not None:
        dispatcher._cache = _Cache(dispatcher.py_func)


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
    for version in (numba.__version__, llvmlite.__version__, np.__version__, sys.version):
        digest.update(f"{version}\0".encode())
    for source in sources:
        content = source.read_bytes()
        digest.update(f"{source.name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _parents() -> Iterator[Path]:
    if config.CACHE_DIR:
        yield Path(config.CACHE_DIR)
    yield _SCAN / "__pycache__"
    yield Path(AppDirs(appname="numba", appauthor=False).user_cache_dir)


def _is_ours(directory: Path) -> bool:
    """Whether no other user can have put machine code there."""
    return os.name == "nt" or directory.stat().st_uid in {os.geteuid(), 0}


def _remove_old(parent: Path) -> None:
    """Remove all but the newest directories of machine code."""
    directories = [path for path in parent.glob(f"{_PREFIX}*") if path.is_dir()]
    directories.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for directory in directories[_KEPT:]:
        shutil.rmtree(directory, ignore_errors=True)


class _Locator(caching._CacheLocator):
    """Where the files of one function are."""

    def __init__(self, function: Any) -> None:
        self._line = function.__code__.co_firstlineno

    @classmethod
    def from_function(cls, function: Any, _file: str) -> _Locator:
        return cls(function)

    def get_cache_path(self) -> str:
        return str(cache_directory())

    def get_disambiguator(self) -> str:
        return str(self._line)

    def get_source_stamp(self) -> None:
        """None, because the directory depends on the sources."""


class _Implementation(caching.CompileResultCacheImpl):
    _locator_classes: Any = (_Locator,)


class _Cache(caching.FunctionCache):
    """The cache of one function; whatever it cannot write is left out."""

    _impl_class = _Implementation

    def __init__(self, function: Any) -> None:
        super().__init__(function)
        self._cache_file = _CheckedFile(self._cache_path, self._impl.filename_base, None)

    def save_overload(self, sig: Any, data: Any) -> None:
        """Save machine code; without room on the disk, it is compiled again next time."""
        with suppress(OSError):
            super().save_overload(sig, data)


class _CheckedFile(caching.IndexDataCacheFile):
    """The files of one function, each after a digest of its content."""

    def _load_index(self) -> dict[Any, str]:
        try:
            index: dict[Any, str] = self._read(self._index_path)
        except OSError:
            return {}
        return index

    def _save_index(self, overloads: dict[Any, str]) -> None:
        self._write(self._index_path, overloads)

    def _load_data(self, name: str) -> Any:
        return self._read(self._data_path(name))

    def _save_data(self, name: str, data: Any) -> None:
        self._write(self._data_path(name), data)

    def _write(self, path: str, data: Any) -> None:
        content = self._dump(data)
        with self._open_for_write(path) as file:
            file.write(_digest(content) + content)

    def _read(self, path: str) -> Any:
        """The content of a file.

        Raises:
            OSError: it is missing or damaged.
        """
        content = Path(path).read_bytes()
        digest, content = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if digest != _digest(content):
            raise OSError(f"{path} is damaged")
        return pickle.loads(content)  # noqa: S301 - written by us, in a directory of ours


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=_DIGEST_BYTES).digest()
