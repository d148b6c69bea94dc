"""Runs contenders in turn, again and again, and keeps what was measured."""

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

from tests.conftest import PostgresServer

from .contenders import ROOT, Contender, Plan, Site
from .data import Manifest, days_until, make_data
from .measure import measure
from .records import Record

DAYS = 10
TIMEOUT_SECONDS = 3_600.0


@dataclass(frozen=True)
class Place:
    """Where a suite keeps its data and environments, and what it runs on."""

    cache: Path
    last_day: date
    postgres: str

    def data(self, *, events: int = 0, profiles: int = 0) -> tuple[Path, Manifest]:
        """Data of a size, made if it is not there."""
        name = f"profiles-{profiles}" if profiles else f"events-{events}"
        directory = self.cache / "data" / name
        days = days_until(self.last_day, DAYS if events else 0)
        return directory, make_data(directory, events=events, days=days, profiles=profiles)


@contextmanager
def open_place(cache: Path, last_day: date, contenders: Iterable[Contender]) -> Iterator[Place]:
    """A place for the contenders, with a Postgres server if one of them needs it."""
    with ExitStack() as stack:
        url = ""
        if any("postgres" in contender.name for contender in contenders):
            directory = stack.enter_context(tempfile.TemporaryDirectory())
            server = PostgresServer(Path(directory))
            url = server.start()
            stack.callback(server.stop)
        yield Place(cache, last_day, url)


def install_all(contenders: Sequence[Contender], tools: Path) -> dict[str, str]:
    """Make the environments of the contenders; returns why those failed that did."""
    reasons: dict[str, str] = {}
    for contender in contenders:
        if contender.install is None:
            continue
        try:
            contender.install(tools)
        except (OSError, LookupError, subprocess.CalledProcessError) as error:
            reasons[contender.name] = f"{contender.name} does not install: {error}"
    return reasons


def run_round(
    place: Place, contenders: Sequence[Contender], size: int, *, runs: int
) -> Iterator[Record]:
    """Run each contender `runs` times on data of one size, in turn: A B C A B C."""
    kinds = {contender.profiles for contender in contenders}
    with ExitStack() as stack, tempfile.TemporaryDirectory() as temporary:
        sites = {
            profiles: stack.enter_context(
                _open_site(place, size, Path(temporary), profiles=profiles)
            )
            for profiles in kinds
        }
        for run in range(1, runs + 1):
            for contender in contenders:
                yield _run_once(contender, sites[contender.profiles], run, size)


@contextmanager
def _open_site(place: Place, size: int, temporary: Path, *, profiles: bool) -> Iterator[Site]:
    data, manifest = place.data(**{"profiles" if profiles else "events": size})
    authority = temporary / f"authority-{profiles}.pem"
    command: list[str | Path] = [sys.executable, "-m", "benchmarks.server", data]
    command += ["--authority", authority]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None  # noqa: S101 - for the type checker: it is piped
        url = json.loads(server.stdout.readline())["url"]
        tools = place.cache / "tools"
        yield Site(data, manifest, url, authority, temporary, tools, place.postgres)
    finally:
        server.kill()
        server.wait()


def _run_once(contender: Contender, site: Site, run: int, size: int) -> Record:
    expected = contender.expected(site.manifest)
    with tempfile.TemporaryDirectory(dir=site.directory) as directory:
        own = Path(directory)
        try:
            plan = contender.plan(replace(site, directory=own))
        except (OSError, LookupError, subprocess.SubprocessError) as error:
            return Record(contender.name, size, run, 0, 0, 0, None, expected, 1, str(error))
        for command in plan.before:
            measure(command, env=plan.env, cwd=own, timeout_s=TIMEOUT_SECONDS)
        found = measure(
            plan.command, env=plan.env, cwd=own, timeout_s=TIMEOUT_SECONDS, output=plan.output
        )
        rows = _count(plan)
    return Record(
        contender.name,
        size,
        run,
        found.seconds,
        found.cpu_seconds,
        found.peak_bytes,
        rows,
        expected,
        found.exit_code,
        "" if rows == expected else found.said,
    )


def _count(plan: Plan) -> int | None:
    try:
        return plan.count()
    except Exception:  # noqa: BLE001 - whatever a database says, there is nothing to count
        return None
