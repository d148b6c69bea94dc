"""Where the files of an archive are: a local directory, or a bucket that fsspec reaches.

A file appears under its name only once it is whole.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from fsspec.core import url_to_fs

from ...destinations.file_lock import LockedFile, lock_file
from ...errors import ConfigError, MixpanelError
from ...files import (
    create_private,
    flush_directory,
    flush_to_disk,
    make_private,
    replace_durably,
)
from ...paths import archive_files

_LOCK = ".lock"
_PROVISIONAL = ".part"


class Storage(ABC):
    """A place for files with names such as `export/2026-01-31.jsonl.gz`."""

    _failures: tuple[type[Exception], ...] = (OSError,)
    """What is raised where a file cannot be used."""

    def __init__(self, location: str) -> None:
        """Use a place.

        Args:
            location: path or address, without credentials, for people.
        """
        self.location = location

    @abstractmethod
    def prepare(self) -> None:
        """Create the place; a directory is made private."""

    @abstractmethod
    def clean(self) -> None:
        """Remove what a crash left behind; only under the lock."""

    def lock(self) -> LockedFile:
        """Keep the other processes of this machine from writing.

        Raises:
            BusyError: another process writes.
        """
        return lock_file(
            self._lock_file,
            subject=f"Another job that writes the archive {self.location}",
            remedy="Keep the archive on a disk that locks files.",
        )

    @property
    @abstractmethod
    def _lock_file(self) -> Path:
        """The file that a job holds locked."""

    @abstractmethod
    def is_empty(self) -> bool:
        """Whether there are no files."""

    @abstractmethod
    def open(self, name: str) -> BinaryIO:
        """Open a file for reading.

        Raises:
            OSError: it cannot be opened; FileNotFoundError if it is not there.
        """

    @abstractmethod
    def write(self, name: str, chunks: Iterable[bytes]) -> None:
        """Write a file that has its name only after `commit`."""

    @abstractmethod
    def commit(self, name: str) -> None:
        """Give what was written its name, in place of what has it."""

    @abstractmethod
    def replace(self, name: str, content: bytes) -> None:
        """Write a small file at once or not at all."""

    def describe(self, name: str) -> str:
        """A file, for people."""
        return f"{self.location}/{name}"

    def read(self, name: str) -> bytes | None:
        """A whole file; None if it is not there.

        Raises:
            MixpanelError: it cannot be read.
        """
        with self.errors("read", name):
            try:
                with self.open(name) as file:
                    return file.read()
            except (FileNotFoundError, NotADirectoryError):
                return None

    @contextmanager
    def errors(self, verb: str, name: str = "") -> Iterator[None]:
        """Raise what storage raises as errors that name the archive or a file of it.

        Args:
            verb: `read` or `written`.
            name: of the file; the archive as a whole if empty.
        """
        try:
            yield
        except MixpanelError:
            raise
        except self._failures as error:
            # other texts than that of an errno may hold anything
            reason = getattr(error, "strerror", None) or type(error).__name__
            subject = f"The archive {self.location}"
            if name:
                subject = f"{self.describe(name)} of the archive"
            raise MixpanelError(
                f"{subject} cannot be {verb}: {reason}. Check that it exists, that "
                "there is room, and that you may use it."
            ) from error


class LocalStorage(Storage):
    """A directory of this machine."""

    def __init__(self, directory: Path) -> None:
        """Use `directory`, which may not exist yet."""
        super().__init__(str(directory))
        self._directory = directory

    def prepare(self) -> None:
        """See `Storage`."""
        make_private(self._directory)

    def clean(self) -> None:
        """See `Storage`."""
        for path in self._directory.glob(f"*/*{_PROVISIONAL}"):
            path.unlink()

    @property
    def _lock_file(self) -> Path:
        return self._directory / _LOCK

    def is_empty(self) -> bool:
        """See `Storage`."""
        found = {*self._directory.iterdir()} if self._directory.exists() else set()
        return not found - {self._lock_file}

    def open(self, name: str) -> BinaryIO:
        """See `Storage`."""
        return (self._directory / name).open("rb")

    def write(self, name: str, chunks: Iterable[bytes]) -> None:
        """See `Storage`."""
        provisional = self._provisional(name)
        if not provisional.parent.exists():
            make_private(provisional.parent)
        with create_private(provisional) as file:
            for chunk in chunks:
                file.write(chunk)
            flush_to_disk(file)

    def commit(self, name: str) -> None:
        """See `Storage`."""
        path = self._directory / name
        self._provisional(name).replace(path)
        flush_directory(path.parent)

    def replace(self, name: str, content: bytes) -> None:
        """See `Storage`."""
        replace_durably(self._directory / name, content)

    def _provisional(self, name: str) -> Path:
        return self._directory / f"{name}{_PROVISIONAL}"


class RemoteStorage(Storage):
    """A bucket or another place that fsspec reaches, such as s3://bucket/archive.

    Who may read it is up to the bucket. Only processes of this machine lock it.
    """

    # each library has exceptions of its own, and not all of them are OSErrors
    _failures = (Exception,)

    def __init__(self, url: str) -> None:
        """Use an address; credentials are looked up as the library of its kind does.

        Raises:
            ConfigError: the address is malformed, or its library is not installed.
        """
        super().__init__(url.rstrip("/"))
        try:
            self._filesystem, root = url_to_fs(url)
        except (ImportError, ValueError) as error:
            # the text may repeat an address with a password
            raise ConfigError(
                f"The archive cannot be reached ({type(error).__name__}). Check its address, and "
                "install the library for it, such as s3fs for s3:// or gcsfs for gs://."
            ) from error
        self._root = root.rstrip("/")

    def prepare(self) -> None:
        """See `Storage`."""
        self._filesystem.makedirs(self._root, exist_ok=True)
        make_private(self._uploads)

    def clean(self) -> None:
        """See `Storage`."""
        for path in self._uploads.glob(f"*{_PROVISIONAL}"):
            path.unlink()

    @property
    def _uploads(self) -> Path:
        return archive_files(self.location) / "uploads"

    @property
    def _lock_file(self) -> Path:
        return self._uploads / _LOCK

    def is_empty(self) -> bool:
        """See `Storage`."""
        with suppress(FileNotFoundError):
            return not self._filesystem.ls(self._root, detail=False)
        return True

    def open(self, name: str) -> BinaryIO:
        """See `Storage`."""
        file: Any = self._filesystem.open(f"{self._root}/{name}", "rb")
        opened: BinaryIO = file
        return opened

    def write(self, name: str, chunks: Iterable[bytes]) -> None:
        """See `Storage`; until `commit` the file is on this machine, because uploads are whole."""
        with create_private(self._upload(name)) as file:
            for chunk in chunks:
                file.write(chunk)

    def commit(self, name: str) -> None:
        """See `Storage`."""
        path = self._upload(name)
        target = f"{self._root}/{name}"
        self._filesystem.makedirs(target.rpartition("/")[0], exist_ok=True)
        try:
            self._filesystem.put_file(str(path), target)
        finally:
            path.unlink()

    def replace(self, name: str, content: bytes) -> None:
        """See `Storage`."""
        self._filesystem.pipe_file(f"{self._root}/{name}", content)

    def _upload(self, name: str) -> Path:
        return self._uploads / f"{name.replace('/', '-')}{_PROVISIONAL}"


def open_storage(location: str) -> Storage:
    """The place at a path or an address.

    Raises:
        ConfigError: it is not an address that can be reached.
    """
    if "://" in location:
        return RemoteStorage(location)
    return LocalStorage(Path(location).expanduser().absolute())
