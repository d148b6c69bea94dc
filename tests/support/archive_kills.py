"""Kills `archive` at random instants, restarts it, and loads the result twice.

`test_archive` does this with few kills, `make torture` with many.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dlt

from mixpanel_sandbox import Project, Sandbox
from mixpanel_source import JobResult, open_pipeline, sync
from tests.support.fidelity import assert_same, read_rows, served_events, served_profiles
from tests.support.projects import make_recent_project
from tests.support.settings import UNLIMITED, as_environment, settings_for

DAYS = 365
KILLS = 10
LONGEST_WAIT_S = 0.02
"""Maximum time from the last of these files to the kill, in which the next one is written."""


def archive_with_kills(
    sandbox: Sandbox, directory: Path, project: Project, *, kills: int, seed: int
) -> int:
    """Archive a project with a process that is killed and started again.

    Args:
        sandbox: Serves the project.
        directory: Of the archive.
        project: To archive, from its first day on.
        kills: Number of kills, fewer if the archive is complete before.
        seed: Of the instants.

    Returns:
        The number of kills.
    """
    settings = {**settings_for(sandbox), "anchor_date": min(project.events)}
    environment = {**os.environ, **as_environment(settings)}
    instants = random.Random(seed)  # noqa: S311 - instants need not be secret
    files_between = max(1, len(project.events) // kills)
    done = 0
    while done < kills:
        files = count_files(directory) + instants.randint(1, files_between)
        if not _killed(
            directory, environment, after=files, wait_s=instants.uniform(0, LONGEST_WAIT_S)
        ):
            break
        done += 1
    subprocess.run(_command(directory), env=environment, capture_output=True, check=True)
    return done


def count_files(directory: Path) -> int:
    """Return the number of days in an archive."""
    return len([*directory.glob("export/*.jsonl.gz")])


def _command(directory: Path) -> list[str]:
    return [sys.executable, "-m", "mixpanel_source.cli", "archive", "--to", str(directory)]


def _killed(directory: Path, environment: Mapping[str, str], *, after: int, wait_s: float) -> bool:
    """Whether a process was killed after so many files, rather than done before."""
    process = subprocess.Popen(
        _command(directory),
        env=dict(environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None and count_files(directory) < after:
        time.sleep(0.002)
    time.sleep(wait_s)
    process.kill()
    return process.wait() != 0


def load_and_compare(directory: Path, project: Project, pipeline: dlt.Pipeline) -> JobResult:
    """Load an archive and assert that every event and profile is there once."""
    result = sync(from_archive=directory, pipeline=pipeline)
    assert result.failures == {}
    assert_same(served_events(project), read_rows(pipeline, "export"))
    assert_same(served_profiles(project), read_rows(pipeline, "engage"))
    return result


def main() -> None:
    """Kill often, load twice, and print what happened."""
    project = make_recent_project(DAYS)
    with tempfile.TemporaryDirectory() as root:
        work = Path(root)
        os.environ.update({name: root for name in ("DLT_DATA_DIR", "DLT_LOCAL_DIR")})
        with Sandbox(project, **UNLIMITED) as sandbox:
            kills = archive_with_kills(
                sandbox, work / "archive", project, kills=KILLS, seed=time.time_ns()
            )
            sandbox.forget_requests()
            pipelines: list[Any] = [open_pipeline(dataset=name) for name in ("one", "two")]
            for pipeline in pipelines:
                load_and_compare(work / "archive", project, pipeline)
            assert sandbox.requests == []
    sys.stdout.write(f"archive: {kills} kills, {DAYS} days, loaded twice without a request.\n")


if __name__ == "__main__":
    main()
