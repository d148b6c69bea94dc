"""Read-only queries in a DuckDB file."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import ConfigError, MixpanelError
from ..failures import hide_values
from ..queries import QueryLimits, QueryResult, too_slow
from .errors import explain
from .resources import machine_bytes

if TYPE_CHECKING:
    from .query_process import Reply, Request

_PROCESS = f"{__package__}.query_process"
_KEPT_VARIABLES = (
    *("PATH", "PYTHONHOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG"),
    *("SYSTEMROOT", "TEMP"),
)
"""Where Python and the system find their libraries."""
_GRACE_SECONDS = 5.0
"""Time that an interrupted query has to end, and the process to start."""
_MEMORY_SHARE = 4
"""A query gets this fraction of the memory."""
_MEMORY_BYTES_MAX = 2 * 1024 * 1024 * 1024
_OF_THE_STATEMENT = ("BinderException", "CatalogException", "ParserException", "SyntaxException")
"""Errors that name tables, columns and words of the statement, and no values of rows."""


class DuckDbQueries:
    """Runs queries in a file, each in a process of its own.

    Args:
        file: that exists.
        schema: of the dataset.
    """

    def __init__(self, file: Path, schema: str) -> None:
        self._file = file
        self.schema = schema

    def run(self, sql: str, limits: QueryLimits) -> QueryResult:
        """Run one SELECT statement; see `Queries`."""
        if not self._file.exists():
            raise ConfigError(
                f"There is no file {self._file} yet. Run mixpanel-source sync, or mixpanel-source "
                "demo for made-up data."
            )
        memory_bytes = min(_MEMORY_BYTES_MAX, machine_bytes() // _MEMORY_SHARE)
        request: Request = {
            "file": str(self._file),
            "schema": self.schema,
            "sql": sql,
            **limits._asdict(),  # type: ignore[typeddict-item] # the names are the same
            "memory_bytes": memory_bytes,
        }
        return self._result(_run_process(request), limits)

    def _result(self, reply: Reply, limits: QueryLimits) -> QueryResult:
        if "refused" in reply:
            raise ConfigError(reply["refused"])
        if "opening" in reply:
            raise explain(RuntimeError(reply["opening"]), self._file)
        if reply.get("kind") == "InterruptException":
            raise MixpanelError(too_slow(limits))
        if "error" in reply:
            raise MixpanelError(f"The query failed: {describe(reply['kind'], reply['error'])}.")
        return QueryResult(reply["columns"], reply["types"], reply["rows"], reply["truncated"])


def describe(kind: str, text: str) -> str:
    """What DuckDB says of a query, without values of rows and without a full stop."""
    if kind == "OutOfMemoryException":
        return "it needs more memory than queries get. Select fewer days or columns"
    if kind == "PermissionException":
        return "queries read no files and no network, only the tables that are loaded"
    first = text.partition("\n\n")[0]
    if kind in _OF_THE_STATEMENT:
        return " ".join(first.split()).rstrip(".?")
    return hide_values(first)


def _run_process(request: Request) -> Reply:
    try:
        done = subprocess.run(  # noqa: S603 - our own module
            [sys.executable, "-m", _PROCESS],
            input=json.dumps(request).encode(),
            capture_output=True,
            check=False,
            # Python would also import modules from the working directory
            cwd=sys.prefix,
            env=_environment(),
            timeout=request["seconds"] + _GRACE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise MixpanelError(too_slow(QueryLimits(seconds=request["seconds"]))) from None
    if done.returncode == 0 and done.stdout:
        reply: Reply = json.loads(done.stdout)
        return reply
    if done.returncode < 0 or b"MemoryError" in done.stderr:
        raise MixpanelError(
            "The query was ended: it needs more memory than queries get. Select fewer days or "
            "columns."
        )
    # only its type: what it wrote may hold values
    kind = re.findall(rb"^([\w.]+)(?=:|$)", done.stderr, re.MULTILINE)[-1:] or [b"no error"]
    raise MixpanelError(
        f"The process for the query failed ({kind[0].decode()}). If the environment has changed "
        "since this program started, start it again."
    )


def _environment() -> dict[str, str]:
    """Nothing of ours, which may hold secrets, but what Python needs to start."""
    kept = {name: value for name in _KEPT_VARIABLES if (value := os.environ.get(name))}
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONSAFEPATH": "1"}
