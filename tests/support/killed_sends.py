"""Kills an import at random instants while it sends, restarts it, and counts what arrived.

`test_killed_sends` does this with few kills, `make torture` with many; see
`python -m tests.support.killed_sends --help`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mixpanel_destination.constants import BATCH_ROWS, CLIENTS
from mixpanel_sandbox import Project, Sandbox
from tests.support.settings import as_environment
from tests.support.writing import PREFIX, destination_settings

LONGEST_LIFE_S = 0.8
"""Maximum time between the first request of a process and its end."""
START_S = 120.0
"""Maximum time until a process sends its first request."""


@dataclass
class Outcome:
    """What arrived, in spite of the kills."""

    kills: int
    distinct: int
    repeated: int
    """Rows that were stored again."""
    exit_code: int


def kill_sends(directory: Path, *, events: int, kills: int, pace: int, seed: int = 1) -> Outcome:
    """Import events in processes that are killed, until one of them completes.

    Args:
        directory: for the rows and for dlt.
        events: how many.
        kills: maximum number.
        pace: of sending, which makes it last long enough to be killed.
        seed: of the random instants.
    """
    rows = directory / "rows.jsonl"
    rows.write_bytes(b"".join(make_lines(events)))
    instants = random.Random(seed)  # noqa: S311 - instants, not secrets
    project = Project()
    done = 0
    # duplicates stay, so that they can be counted
    with Sandbox(project, dedup_after_s=10**9) as sandbox:
        while done < kills:
            sandbox.forget_requests()
            process = start(directory, sandbox, rows, pace)
            if not sends(process, sandbox):
                break
            try:
                process.wait(instants.uniform(0, LONGEST_LIFE_S))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                done += 1
            process.wait()
            if process.returncode == 0:
                break
        code = start(directory, sandbox, rows, 0).wait()
        # what was written becomes visible with the next request
        status = [sys.executable, "-m", "mixpanel_destination.cli", "verify"]
        code = code or subprocess.run(status, env=environment(directory, sandbox, 0)).returncode  # noqa: PLW1510
    stored = Counter(identity(line) for lines in project.events.values() for line in lines)
    return Outcome(done, len(stored), stored.total() - len(stored), code)


def make_lines(number: int) -> Iterator[bytes]:
    """Yield events of the last days, each with an id."""
    first = int(time.time()) - 10 * 86_400
    for n in range(number):
        properties = {
            "time": first + n % 800_000,
            "distinct_id": f"user-{n % 999}",
            "$insert_id": f"e-{n}",
            "text": "x" * 60,
        }
        yield json.dumps({"event": f"Order {n % 25}", "properties": properties}).encode() + b"\n"


def identity(line: bytes) -> tuple[str, str, int, str]:
    """What identifies a stored event."""
    event = json.loads(line)
    properties = event["properties"]
    return (
        event["event"],
        properties["distinct_id"],
        properties["time"],
        properties["$insert_id"],
    )


def start(directory: Path, sandbox: Sandbox, rows: Path, pace: int) -> subprocess.Popen[bytes]:
    """Start an import."""
    project = f"--project-id={sandbox.project.project_id}"
    command = ["import", "events", "--from", str(rows), project, "--yes"]
    return subprocess.Popen(
        [sys.executable, "-m", "mixpanel_destination.cli", *command],
        env=environment(directory, sandbox, pace),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def environment(directory: Path, sandbox: Sandbox, pace: int) -> dict[str, str]:
    """The environment of a command."""
    settings = as_environment({**destination_settings(sandbox), "pace": pace}, prefix=PREFIX)
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "DLT_DATA_DIR": str(directory / "data"),
        "DLT_PROJECT_DIR": str(directory),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "SOURCES__MIXPANEL__REQUESTS_PER_HOUR": "0",
        "HOME": str(directory),
        **settings,
    }


def sends(process: subprocess.Popen[bytes], sandbox: Sandbox) -> bool:
    """Wait until a process sends its first rows; returns whether it does."""
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        if any(record.path == "/import" for record in sandbox.requests):
            return True
        time.sleep(0.01)
    return False


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--pace", type=int, default=8_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mixpanel-kills-") as directory:
        outcome = kill_sends(
            Path(directory),
            events=options.events,
            kills=options.kills,
            pace=options.pace,
            seed=options.seed,
        )
    sys.stdout.write(
        f"{outcome.kills} kills in {time.monotonic() - began:.0f} s: {outcome.distinct:,} of "
        f"{options.events:,} events, {outcome.repeated:,} rows repeated.\n"
    )
    assert outcome.exit_code == 0
    assert outcome.distinct == options.events
    assert outcome.repeated <= outcome.kills * CLIENTS * BATCH_ROWS


if __name__ == "__main__":
    main()
