"""Runs contenders in turn, several times, and records the measurements."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from tests.support.postgres import PostgresServer

from .contenders import ROOT, Contender, Plan, Setup
from .data import Manifest, days_until, make_data
from .measure import measure
from .records import Record

DAYS = 10
TIMEOUT_SECONDS = 3_600.0


@dataclass(frozen=True)
class Workspace:
    """Cache directory and shared resources of a benchmark."""

    cache: Path
    last_day: date
    postgres: str

    def data(self, *, events: int = 0, profiles: int = 0) -> tuple[Path, Manifest]:
        """Return the directory and manifest of data of a size, generating it if necessary."""
        name = f"profiles-{profiles}" if profiles else f"events-{events}"
        directory = self.cache / "data" / name
        days = days_until(self.last_day, DAYS if events else 0)
        return directory, make_data(directory, events=events, days=days, profiles=profiles)


@contextmanager
def open_workspace(
    cache: Path, last_day: date, contenders: Iterable[Contender]
) -> Iterator[Workspace]:
    """Open a workspace, with a Postgres server if a contender needs it."""
    with ExitStack() as stack:
        url = ""
        if any("postgres" in contender.name for contender in contenders):
            directory = stack.enter_context(tempfile.TemporaryDirectory())
            server = PostgresServer(Path(directory))
            url = server.start()
            stack.callback(server.stop)
        yield Workspace(cache, last_day, url)


def install_all(contenders: Sequence[Contender], tools: Path) -> dict[str, str]:
    """Create the environments of the contenders.

    Returns:
        Contender -> reason, for those that could not be installed.
    """
    reasons: dict[str, str] = {}
    for contender in contenders:
        if contender.install is None:
            continue
        try:
            contender.install(tools)
        except (OSError, LookupError, subprocess.CalledProcessError) as error:
            reasons[contender.name] = f"{contender.name} cannot be installed: {error}"
    return reasons


def run_round(
    workspace: Workspace, contenders: Sequence[Contender], size: int, *, runs: int
) -> Iterator[Record]:
    """Run each contender `runs` times on data of one size, alternating: A B C A B C."""
    data_kinds = {contender.profiles for contender in contenders}
    with ExitStack() as stack, tempfile.TemporaryDirectory() as temporary:
        setups = {
            profiles: stack.enter_context(
                _open_setup(workspace, size, Path(temporary), profiles=profiles)
            )
            for profiles in data_kinds
        }
        for run in range(1, runs + 1):
            for contender in contenders:
                yield _run_once(contender, setups[contender.profiles], run, size)


@contextmanager
def _open_setup(
    workspace: Workspace, size: int, temporary: Path, *, profiles: bool
) -> Iterator[Setup]:
    data, manifest = workspace.data(**{"profiles" if profiles else "events": size})
    authority = temporary / f"authority-{profiles}.pem"
    command: list[str | Path] = [sys.executable, "-m", "benchmarks.server", data]
    command += ["--authority", authority]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None  # noqa: S101 - for the type checker: stdout is a pipe
        url = json.loads(server.stdout.readline())["url"]
        tools = workspace.cache / "tools"
        yield Setup(data, manifest, url, authority, temporary, tools, workspace.postgres)
    finally:
        server.kill()
        server.wait()


def _run_once(contender: Contender, setup: Setup, run: int, size: int) -> Record:
    expected = contender.expected(setup.manifest)
    with tempfile.TemporaryDirectory(dir=setup.directory) as directory:
        work = Path(directory)
        try:
            plan = contender.plan(replace(setup, directory=work))
        except (OSError, LookupError, subprocess.SubprocessError) as error:
            return Record(contender.name, size, run, 0, 0, 0, None, expected, 1, str(error))
        for command in plan.before:
            measure(command, env=plan.env, cwd=work, timeout_s=TIMEOUT_SECONDS)
        measured = measure(
            plan.command, env=plan.env, cwd=work, timeout_s=TIMEOUT_SECONDS, output=plan.output
        )
        rows = _count(plan)
        stored = plan.size() if plan.size and rows is not None else None
    return Record(
        contender.name,
        size,
        run,
        measured.seconds,
        measured.cpu_seconds,
        measured.peak_bytes,
        rows,
        expected,
        measured.exit_code,
        "" if rows == expected else measured.stderr,
        stored,
    )


def _count(plan: Plan) -> int | None:
    try:
        return plan.count()
    except Exception:  # noqa: BLE001 - any database error: no rows to count
        return None
