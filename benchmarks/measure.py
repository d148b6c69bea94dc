"""Runs a command and measures it from outside: seconds, and memory of all its processes."""

from __future__ import annotations

import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

SAMPLE_SECONDS = 0.05
SHARE_OF_A_CORE = 0.05
"""The most that looking may take: the kernel adds up the pages of a large process for a while."""
TOLD_CHARACTERS = 400


@dataclass(frozen=True)
class Measurement:
    """One run of one command."""

    seconds: float
    cpu_seconds: float
    """Of the command and of the processes it waited for."""
    peak_bytes: int
    """Most memory at a time: proportional set size where the system tells, else resident."""
    exit_code: int
    said: str
    """The end of what it wrote to stderr."""


def measure(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    cwd: Path,
    timeout_s: float,
    output: Path | None = None,
) -> Measurement:
    """Run `command` to its end and measure it.

    Args:
        command: program and arguments.
        env: its whole environment.
        cwd: where it runs.
        timeout_s: after which it is killed, with exit code -9.
        output: the file that gets what it writes to stdout, which is thrown away otherwise.
    """
    with (
        tempfile.TemporaryFile() as errors,
        output.open("wb") if output else tempfile.TemporaryFile() as out,
    ):
        cpu_before = _cpu_of_children()
        began = time.perf_counter()
        process = psutil.Popen(
            [str(part) for part in command],
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=errors,
        )
        peak = _watch(process, give_up_at=began + timeout_s)
        seconds = time.perf_counter() - began
        errors.seek(0)
        said = errors.read().decode(errors="replace").strip()[-TOLD_CHARACTERS:]
    return Measurement(
        seconds, _cpu_of_children() - cpu_before, peak, process.returncode or 0, said
    )


def _watch(process: psutil.Popen, *, give_up_at: float) -> int:
    """Wait for a process to end and return its peak memory in bytes."""
    peak, pause = 0, SAMPLE_SECONDS
    while True:
        with suppress(psutil.TimeoutExpired, subprocess.TimeoutExpired):
            process.wait(timeout=pause)
            return peak
        looked = time.perf_counter()
        if looked > give_up_at:
            _kill(process)
            return peak
        peak = max(peak, tree_bytes(process))
        pause = max(SAMPLE_SECONDS, (time.perf_counter() - looked) / SHARE_OF_A_CORE)


def tree_bytes(process: psutil.Process) -> int:
    """Memory of a process and all that it started."""
    total = 0
    with suppress(psutil.Error):
        for member in (process, *process.children(recursive=True)):
            with suppress(psutil.Error):
                total += _memory(member)
    return total


def _full_memory(process: psutil.Process) -> int:
    return int(process.memory_full_info().pss)


def _resident_memory(process: psutil.Process) -> int:
    return int(process.memory_info().rss)


_memory: Callable[[psutil.Process], int] = _full_memory if psutil.LINUX else _resident_memory


def _kill(process: psutil.Popen) -> None:
    for member in (*process.children(recursive=True), process):
        with suppress(psutil.Error):
            member.kill()
    process.wait()


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
