"""The manifest of an archive: its files, with what tells a whole file from another one.

Pure. `docs/archive.md` describes the format for other programs.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Annotated, Any

import msgspec

FORMAT = 1
SUFFIX = ".jsonl.gz"


@dataclass(frozen=True)
class ArchivedFile:
    """A file of an archive: the events of a day, or the profiles as they were on a day."""

    table: Annotated[str, msgspec.Meta(pattern="^(export|engage)$")]
    day: date
    rows: int
    """Lines of the file."""
    duplicates: int
    """Lines that a load drops, because another one has the same key or because of their shape."""
    bytes: int
    """Size of the file."""
    lines_bytes: int
    """Uncompressed bytes of the lines."""
    sha256: str
    """Of the file, in hexadecimal digits."""
    fetched_at: float
    """When the reply began, in seconds since the epoch."""
    confirmed_at: float
    """When the day was last requested; later than `fetched_at` if it then served too few
    events for the file to be replaced."""

    @property
    def path(self) -> str:
        """Relative to the archive."""
        return f"{self.table}/{self.day}{SUFFIX}"


Files = dict[tuple[str, date], ArchivedFile]


@dataclass
class Manifest:
    """What an archive holds."""

    project_id: int
    filters: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Table -> the filters that its files were requested with."""
    files: Files = field(default_factory=dict)
    """Table and day -> file."""
    replacing: Files = field(default_factory=dict)
    """Files about to take the place of those in `files`; not empty only after a crash."""

    def dump(self) -> bytes:
        """The manifest as JSON."""
        content = {
            "format": FORMAT,
            "project_id": self.project_id,
            "filters": self.filters,
            "files": _dump_files(self.files),
            "replacing": _dump_files(self.replacing),
        }
        return json.dumps(content, indent=1).encode()


@dataclass
class _Content:
    """The JSON of a manifest; checked when it is decoded."""

    format: int
    project_id: int
    filters: dict[str, dict[str, Any]]
    files: dict[str, ArchivedFile]
    replacing: dict[str, ArchivedFile]


def parse_manifest(content: bytes) -> Manifest:
    """The manifest in a file.

    Raises:
        ValueError: it is not a manifest, or one of another format.
    """
    try:
        read = msgspec.json.decode(content, type=_Content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError("not a manifest") from error
    if read.format != FORMAT:
        raise ValueError("another format")
    return Manifest(
        project_id=read.project_id,
        filters=read.filters,
        files={(file.table, file.day): file for file in read.files.values()},
        replacing={(file.table, file.day): file for file in read.replacing.values()},
    )


def _dump_files(files: Files) -> dict[str, dict[str, Any]]:
    return {
        file.path: {**asdict(file), "day": str(file.day)}
        for file in sorted(files.values(), key=lambda file: file.path)
    }
