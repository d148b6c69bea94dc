"""The cache of machine code, in `cache_directory`.

A damaged file is never used: numba would fail on it, or run what is left of the code.
"""

from __future__ import annotations

import pickle
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

from numba.core import caching

from .cache_directory import cache_directory

_DIGEST_BYTES = 16


def enable_cache(dispatcher: Any) -> None:
    """Cache the machine code of a function if some directory for it can be written."""
    if cache_directory() is not None:
        dispatcher._cache = _Cache(dispatcher.py_func)


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
