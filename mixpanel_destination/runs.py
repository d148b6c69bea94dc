"""What is known of the runs that write to a project, in files that survive a kill.

Each project has a directory that only its owner can read:

- `_mixpanel_sends.jsonl`: a line for each state of a run; the last one of a run counts.
- `runs/<run>/refused.jsonl`: the rows that were refused, see `RefusedRow`.
- `runs/<run>/sent/<row>.parquet`: what became of a batch, whose first row has that number. It says
  which rows are stored, by their keys, and has nothing of their content. `verify` reads it.
- `dlt/`: load packages, which hold the rows until they are sent.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from mixpanel_source.files import PRIVATE_FILE, flush_directory, make_private, replace_durably

SENDS_TABLE = "_mixpanel_sends"
REFUSED_TABLE = "_mixpanel_refused"


@dataclass
class Send:
    """A run: a row of `_mixpanel_sends`."""

    run: str
    """Load id of the package."""
    project_id: int
    region: str
    kind: str
    state: str
    """staged, sending, stopped or done."""
    source: str = ""
    """Where the rows came from, for people."""
    staged: int = 0
    """Rows."""
    accepted: int = 0
    refused: int = 0
    """By Mixpanel."""
    skipped: int = 0
    """Rows that were not sent, because they cannot be or would be spoiled."""
    bytes: int = 0
    """Of the rows that were sent, as JSON."""
    requests: int = 0
    retries: int = 0
    digest: str = ""
    """Of the set of rows, whatever their order."""
    first_day: str = ""
    last_day: str = ""
    started_at: float = 0.0
    """Epoch seconds."""
    ended_at: float | None = None
    options: dict[str, Any] = field(default_factory=dict)
    """How the rows were made, for `retry`."""


@dataclass(frozen=True)
class RefusedRow:
    """A row of `_mixpanel_refused`."""

    run: str
    key: str
    insert_id: str
    event: str
    day: str
    status: int
    """HTTP status; 0 for a row that was not sent."""
    field: str
    message: str
    """As Mixpanel has it."""
    payload: str
    """The row, as it was sent without the token."""
    attempts: int = 1


OUTCOME = pa.schema(
    [
        ("key", pa.string()),
        ("content", pa.string()),
        ("day", pa.string()),
        ("event", pa.string()),
        ("insert_id", pa.string()),
        ("names", pa.string()),
        ("outcome", pa.string()),
    ]
)
"""Columns of what became of a batch.

`outcome` is accepted, refused, skipped or, where an answer was lost and the rows must not be sent
twice, unknown.
"""


def write_home() -> Path:
    """The directory of all projects that are written to; it follows dlt's data directory."""
    import dlt  # noqa: PLC0415 - takes half a second to load

    return Path(dlt.current.run_context().data_dir) / "mixpanel_destination"


class ProjectRuns:
    """The runs that write to one project from this machine."""

    def __init__(self, project_id: int, *, home: Path | None = None) -> None:
        """Use, and create where needed, the directory of a project."""
        self.directory = (home or write_home()) / str(project_id)
        make_private(self.directory.parent)
        make_private(self.directory)

    @property
    def packages(self) -> Path:
        """Where dlt keeps load packages."""
        return self.directory / "dlt"

    def record(self, send: Send) -> None:
        """Note the state of a run."""
        append_durably(self.directory / f"{SENDS_TABLE}.jsonl", [asdict(send)])

    def sends(self) -> list[Send]:
        """All runs, as they were last noted, in the order in which they began."""
        latest: dict[str, Send] = {}
        for values in read_lines(self.directory / f"{SENDS_TABLE}.jsonl"):
            latest[values["run"]] = Send(**values)
        return [*latest.values()]

    def find(self, run: str) -> Send | None:
        """A run; None if there is none of this name."""
        return next((send for send in self.sends() if send.run == run), None)

    def log(self, run: str) -> RunLog:
        """What became of the rows of a run."""
        return RunLog(self.directory / "runs" / run, run)


class RunLog:
    """What became of the rows of one run; may be used from several threads."""

    def __init__(self, directory: Path, run: str) -> None:
        """Use, and create where needed, the directory of a run."""
        self.run = run
        make_private(directory.parent)
        make_private(directory)
        self.batches = directory / "sent"
        make_private(self.batches)
        self._refused = directory / "refused.jsonl"
        self._lock = threading.Lock()
        self._known = {row["key"] for row in read_lines(self._refused)}

    @property
    def refused_file(self) -> Path:
        """The file of the rows that were refused; it may not exist."""
        return self._refused

    def has_batch(self, first: int, table: str) -> bool:
        """Whether it is known what became of the batch that begins with a row."""
        return self._batch(first, table).exists()

    def add_batch(
        self, first: int, table: str, outcome: pa.Table, facts: Mapping[str, int]
    ) -> None:
        """Note what became of a batch, at once or not at all.

        Args:
            first: number of its first row.
            table: of the load package.
            outcome: see `OUTCOME`.
            facts: its `bytes`, and others of `Send`.
        """
        metadata = {"facts": json.dumps(dict(facts))}
        buffer = pa.BufferOutputStream()
        pq.write_table(outcome.replace_schema_metadata(metadata), buffer, compression="zstd")
        replace_durably(self._batch(first, table), buffer.getvalue().to_pybytes())

    def begin(self, first: int, table: str) -> bool:
        """Note that a batch is about to be sent which must not be sent twice.

        Returns:
            False if that was noted before: it may have been sent.
        """
        mark = self._mark(first, table)
        if mark.exists():
            return False
        replace_durably(mark, b"")
        return True

    def forget(self, first: int, table: str) -> None:
        """Take back `begin`."""
        self._mark(first, table).unlink(missing_ok=True)

    def add_refused(self, rows: Sequence[RefusedRow]) -> None:
        """Note rows that were refused, each once."""
        with self._lock:
            new = [row for row in rows if row.key not in self._known]
            self._known.update(row.key for row in new)
            if new:
                append_durably(self._refused, [asdict(row) for row in new])

    def refused(self) -> Iterator[RefusedRow]:
        """The rows that were refused."""
        seen: set[str] = set()
        for values in read_lines(self._refused):
            if values["key"] not in seen:
                seen.add(values["key"])
                yield RefusedRow(**values)

    def totals(self) -> dict[str, int]:
        """Rows by outcome, and the facts of all batches together."""
        totals = {"accepted": 0, "refused": 0, "skipped": 0, "bytes": 0}
        for path in self.batches.glob("*.parquet"):
            metadata = pq.read_schema(path).metadata or {}
            for name, number in json.loads(metadata[b"facts"]).items():
                totals[name] = totals.get(name, 0) + number
        return totals

    def _mark(self, first: int, table: str) -> Path:
        return self.batches / f"{table}-{first:012d}.sending"

    def _batch(self, first: int, table: str) -> Path:
        return self.batches / f"{table}-{first:012d}.parquet"


def append_durably(path: Path, values: Sequence[Mapping[str, Any]]) -> None:
    """Append lines of JSON to a private file, and wait until they are on the disk."""
    is_new = not path.exists()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE_FILE)
    try:
        # a line that a kill cut short must not swallow the next one
        torn = not is_new and _lacks_line_end(path)
        lines = b"".join(orjson.dumps(value) + b"\n" for value in values)
        os.write(descriptor, b"\n" * torn + lines)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if is_new:
        flush_directory(path.parent)


def _lacks_line_end(path: Path) -> bool:
    with path.open("rb") as file:
        if not file.seek(0, os.SEEK_END):
            return False
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file of JSON lines; lines that a kill cut short are left out."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            try:
                value = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
            if isinstance(value, dict):
                yield value
