"""Where this package keeps files between runs: in a directory beside dlt's own data."""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass
from hashlib import blake2b
from pathlib import Path


def data_directory() -> Path:
    """The directory of locks, spools and records of requests; it may not exist yet.

    It follows dlt's data directory, which `DLT_DATA_DIR` sets.
    """
    import dlt  # noqa: PLC0415 - takes half a second to load

    return Path(dlt.current.run_context().data_dir) / "mixpanel_source"


def archive_files(location: str) -> Path:
    """Directory of what is not in an archive yet: downloaded windows, and files to upload.

    Args:
        location: of the archive, an absolute path or an address.
    """
    digest = blake2b(location.encode(), digest_size=6).hexdigest()
    return data_directory() / f"archive-{digest}"


@dataclass(frozen=True)
class LoadTarget:
    """What loads, and where to. Each target has files of its own on this machine.

    Two projects whose pipelines have the same name therefore do not disturb each other.
    """

    location: str
    """Of the destination: its type, and a host and database or an absolute path. No credentials."""
    dataset: str
    """As the destination calls it."""
    pipeline: str

    @property
    def directory(self) -> Path:
        """The directory of the files; it may not exist yet."""
        digest = blake2b(json.dumps(astuple(self)).encode(), digest_size=6).hexdigest()
        return data_directory() / f"{self.pipeline}-{digest}"

    @property
    def spool(self) -> Path:
        """Directory of the downloaded windows that are not loaded yet."""
        return self.directory / "spool"

    @property
    def profile_keys_file(self) -> Path:
        """The keys of the profiles that were loaded last; for tables that are compared."""
        return self.directory / "profile-keys"

    @property
    def lock_file(self) -> Path:
        """The file that a running job holds locked."""
        return self.directory / "lock"

    @property
    def last_run_file(self) -> Path:
        """The record of how the last run ended."""
        return self.directory / "last-run.json"

    @property
    def pipelines_dir(self) -> Path:
        """Where dlt keeps the working directory of the pipeline, unless a script sets another."""
        return self.directory / "dlt"
