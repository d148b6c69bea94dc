"""Checks of writing that take minutes: a round trip of 100,000 events, limits, lost answers.

`make torture` runs them; see `python -m tests.support.write_acceptance --help`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from mixpanel_destination import cli
from mixpanel_destination.rows.fingerprints import served_event
from mixpanel_sandbox import Fault, Project, Sandbox
from tests.support.killed_sends import identity, make_lines
from tests.support.nasty_events import nasty_lines
from tests.support.settings import UNLIMITED, as_environment, settings_for
from tests.support.writing import PREFIX, destination_settings

DAY_S = 86_400


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@contextmanager
def served(source: Project, target: Project, **options: Any) -> Iterator[tuple[Sandbox, Path]]:
    """Serve a project to read and one to write to, with the settings in the environment."""
    before = dict(os.environ)
    with (
        tempfile.TemporaryDirectory(prefix="mixpanel-acceptance-") as directory,
        Sandbox(source, others=[target], **{**UNLIMITED, **options}) as sandbox,
    ):
        os.environ.update(
            DLT_DATA_DIR=f"{directory}/data",
            DLT_PROJECT_DIR=directory,
            DLT_LOCAL_DIR=directory,
            RUNTIME__DLTHUB_TELEMETRY="false",
            **as_environment(settings_for(sandbox)),
            **as_environment(destination_settings(sandbox, target), prefix=PREFIX),
        )
        os.chdir(directory)
        try:
            yield sandbox, Path(directory)
        finally:
            os.chdir("/")
            os.environ.clear()
            os.environ.update(before)


def run(*arguments: str) -> int:
    """Run a command."""
    return cli.main(list(arguments))


def served_lines(project: Project) -> Iterator[bytes]:
    """The stored events."""
    return (line for lines in project.events.values() for line in lines)


def round_trip(events: int, profiles: int, groups: int) -> None:
    """Export, load into DuckDB, import, export: nothing missing, extra or different."""
    from mixpanel_source import cli as source_cli  # noqa: PLC0415 - slow to load

    source, target = Project(identity="original"), Project(project_id=7654321, identity="original")
    first = int(time.time()) // DAY_S * DAY_S - 10 * DAY_S
    nasty = (
        line.replace(b'"$insert_id":"', b'"$insert_id":"%d-' % number)
        for number in range(events // 100)
        for line in nasty_lines(first + number % (9 * DAY_S))
    )
    plain = (line.rstrip(b"\n") for line in make_lines(events))
    for line in (line for lines in (nasty, plain) for line in lines):
        given = json.loads(line)["properties"]["time"]
        seconds = given // 1000 if given > 10**11 else given
        day = datetime.fromtimestamp(seconds, timezone.utc).date()
        source.events.setdefault(day, []).append(line)
    for number in range(profiles):
        source.add_profile(f"u{number}", {"n": number, "plan name": None, "tags": ["x", number]})
    source.groups["-7"] = [
        b'{"$distinct_id":"g%d","$properties":{"size":%d}}' % (n, n) for n in range(groups)
    ]
    with served(source, target) as (_, _directory):
        os.environ["SOURCES__MIXPANEL__PROPERTIES"] = "json"
        assert source_cli.main(["sync", "--tables", "export", "--progress", "off"]) == 0
        arguments = ["--project-id=7654321", "--yes"]
        assert run("import", "events", "--from", "export", *arguments) == 0
        assert run("verify", "--deep") == 0
        steps = ["--steps", "profiles,groups", "--group", "company=-7"]
        assert run("migrate", *arguments, *steps) == 0
        (group,) = target.groups
        assert run("verify", "--deep", f"--data-group-id={group}") == 0
        expected, stored = content(source), content(target)
    missing, extra = expected - stored, stored - expected
    say(
        f"round trip: {stored.total():,} events of {len({name for name, _ in stored})} types, "
        f"{missing.total()} missing, {extra.total()} extra; {len(target.profiles):,} profiles, "
        f"{len(target.groups[group]):,} groups"
    )
    assert not missing
    assert not extra
    assert sorted(map(json_of, target.profiles)) == sorted(map(json_of, source.profiles))


def content(project: Project) -> Counter[tuple[str, str]]:
    """The events of a project by name and content, whatever their ids."""
    found: Counter[tuple[str, str]] = Counter()
    for line in served_lines(project):
        event = json.loads(line)
        properties = event["properties"]
        name = properties.pop("mp_original_event_name", event["event"])
        properties["distinct_id"] = properties.pop(
            "mp_original_distinct_id", properties["distinct_id"]
        )
        restored = json.dumps({"event": name, "properties": properties}).encode()
        found[name, served_event(restored).content] += 1
    return found


def json_of(line: bytes) -> str:
    """A profile in one form."""
    return json.dumps(json.loads(line), sort_keys=True)


def size_limits() -> None:
    """Whatever the server takes, everything is stored; a client learns the limit once."""
    for limit in (10 * 1024 * 1024, 2_097_152):
        target = Project(project_id=7654321)
        lines = [
            line.replace(b'"text": "', b'"text": "' + b"y" * 6000) for line in make_lines(20_000)
        ]
        with served(Project(), target, import_bytes=limit) as (sandbox, directory):
            (directory / "rows.jsonl").write_bytes(b"".join(lines))
            arguments = ["--from", "rows.jsonl", "--project-id=7654321", "--yes"]
            assert run("import", "events", *arguments) == 0
            statuses = [record.status for record in sandbox.requests if record.path == "/import"]
            assert run("verify") == 0
        refused = statuses.count(413)
        stored = len({identity(line) for line in served_lines(target)})
        say(f"limit of {limit:,} bytes: {stored:,} stored, {refused} refused as too large")
        assert stored == 20_000
        assert refused <= 10
        assert 413 not in statuses[-statuses[::-1].index(413) if refused else 0 :]


def lost_answers() -> None:
    """Answers are lost after the batch was stored, 20 times: no event too many or too few."""
    target = Project(project_id=7654321)
    faults = [Fault("502_stored", table="import", request=5 * n) for n in range(1, 21)]
    with served(Project(), target, faults=faults) as (sandbox, directory):
        (directory / "rows.jsonl").write_bytes(b"".join(make_lines(300_000)))
        os.environ[f"{PREFIX}PACE"] = "0"
        arguments = ["--from", "rows.jsonl", "--project-id=7654321", "--yes"]
        assert run("import", "events", *arguments) == 0
        lost = sum(record.fault == "502_stored" for record in sandbox.requests)
        assert run("verify") == 0
    stored = Counter(identity(line) for line in served_lines(target))
    say(f"{lost} answers lost: {len(stored):,} of 300,000 events")
    assert len(stored) == 300_000


CHECKS: dict[str, Callable[[], None]] = {
    "round_trip": lambda: round_trip(100_000, 10_000, 500),
    "size_limits": size_limits,
    "lost_answers": lost_answers,
}


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checks", nargs="*", choices=[*CHECKS, []], default=[*CHECKS])
    options = parser.parse_args()
    for name in options.checks:
        began = time.monotonic()
        CHECKS[name]()
        say(f"{name}: {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
