"""Why a DuckDB file cannot be opened, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ...errors import BusyError, ConfigError, MixpanelError

_HOLDER = re.compile(r"held in (?P<program>[^\n]*?)\s*\(PID (?P<pid>\d+)\)")
_BUSY = r"set lock on file|used by another process"
_DAMAGED = (
    r"not read enough bytes|corrupt|checksum|failed to load metadata|deseriali|"
    r"replaying WAL|read from file"
)
_REASONS: tuple[tuple[str, type[MixpanelError], str], ...] = (
    (
        r"different configuration",
        BusyError,
        "is open in this process with other settings. Close that connection",
    ),
    (
        _BUSY,
        BusyError,
        "is open in another process{holder}, and DuckDB allows one process at a time. Wait until "
        "it has closed the file",
    ),
    (
        r"newer version|version number",
        ConfigError,
        "was written by another version of DuckDB than the {version} that is installed, which "
        "cannot read it. Upgrade: pip install --upgrade duckdb",
    ),
    (
        r"not a valid DuckDB",
        ConfigError,
        "is not a DuckDB file. Give the path of another file, or move this one away",
    ),
    (
        r"is a directory",
        ConfigError,
        "is a directory. Give the path of a DuckDB file",
    ),
    (
        r"permission denied|read-only file system|read-only mode",
        ConfigError,
        "cannot be opened for writing: permission denied. The user that runs this needs to read "
        "and write the file and its directory",
    ),
    (
        r"no such file or directory|not a directory",
        ConfigError,
        "cannot be created: its directory does not exist. Create it",
    ),
    (
        r"unrecognized|(parser|syntax|invalid input|not implemented) error",
        ConfigError,
        "cannot be opened with the configuration given for DuckDB. Check global_config, "
        "local_config, pragmas and extensions of [destination.duckdb.credentials], or the "
        "variables DESTINATION__DUCKDB__CREDENTIALS__...",
    ),
    (
        r"no space left|quota exceeded",
        MixpanelError,
        "cannot be written: the disk is full. Make room",
    ),
    (
        _DAMAGED,
        MixpanelError,
        "is damaged or incomplete. Restore it from a backup, or move it away and load again",
    ),
)
"""Pattern of DuckDB's text, the error it is, and what follows the name of the file."""


def explain(error: BaseException, file: Path | None) -> MixpanelError:
    """What an error of DuckDB means, and what to do.

    Args:
        error: DuckDB's, or one of dlt that was raised because of it.
        file: that was to be opened; None for a database in memory.
    """
    text = _text(error)
    subject = file or "The DuckDB database"
    for pattern, kind, reason in _REASONS:
        if re.search(pattern, text, re.IGNORECASE):
            return kind(f"{subject} {reason.format(holder=_holder(text), version=_version())}.")
    return MixpanelError(
        f"{subject} cannot be opened ({type(_cause(error)).__name__}). Check the file, or move it "
        "away and load again."
    )


def is_busy(error: BaseException) -> bool:
    """Whether another process has the file open."""
    return re.search(_BUSY, _text(error), re.IGNORECASE) is not None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a statement needed more memory than DuckDB may take."""
    return re.search(r"out of memory", _text(error), re.IGNORECASE) is not None


def _text(error: BaseException) -> str:
    return "\n".join(map(str, _iter_causes(error)))


def _holder(text: str) -> str:
    match = _HOLDER.search(text)
    return f", {Path(match['program']).name} (process {match['pid']})" if match else ""


def _version() -> str:
    import duckdb  # noqa: PLC0415 - slow to import

    return duckdb.__version__


def _cause(error: BaseException) -> BaseException:
    return [*_iter_causes(error)][-1]


def _iter_causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = getattr(error, "inner_exc", None) or error.__cause__ or error.__context__
