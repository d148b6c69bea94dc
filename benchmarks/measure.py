"""Runs a command and measures its time, and the memory of all its processes, from outside."""

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
"""Maximum share for sampling: for large processes the kernel takes long to sum up their pages."""
STDERR_CHARACTERS = 400


@dataclass(frozen=True)
class Measurement:
    """The measurements of a run."""

    seconds: float
    cpu_seconds: float
    """CPU time of the command and of the processes it waited for."""
    peak_bytes: int
    """Peak memory: proportional set size on Linux, else resident set size."""
    exit_code: int
    stderr: str
    """The end of its stderr."""


def measure(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    cwd: Path,
    timeout_s: float,
    output: Path | None = None,
) -> Measurement:
    """Run a command until it ends and measure it.

    Args:
        command: Program and arguments.
        env: Its complete environment.
        cwd: Its working directory.
        timeout_s: Seconds after which it is killed; its exit code is then -9.
        output: File for its stdout; None discards it.
    """
    with (
        tempfile.TemporaryFile() as errors,
        output.open("wb") if output else tempfile.TemporaryFile() as out,
    ):
        cpu_before = _cpu_of_children()
        started = time.perf_counter()
        process = psutil.Popen(
            [str(part) for part in command],
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=errors,
        )
        peak = _wait(process, deadline=started + timeout_s)
        seconds = time.perf_counter() - started
        errors.seek(0)
        stderr = errors.read().decode(errors="replace").strip()[-STDERR_CHARACTERS:]
    return Measurement(
        seconds, _cpu_of_children() - cpu_before, peak, process.returncode or 0, stderr
    )


def _wait(process: psutil.Popen, *, deadline: float) -> int:
    """Wait for a process to end and return its peak memory in bytes."""
    peak, pause = 0, SAMPLE_SECONDS
    while True:
        with suppress(psutil.TimeoutExpired, subprocess.TimeoutExpired):
            process.wait(timeout=pause)
            return peak
        now = time.perf_counter()
        if now > deadline:
            _kill(process)
            return peak
        peak = max(peak, _tree_bytes(process))
        pause = max(SAMPLE_SECONDS, (time.perf_counter() - now) / SHARE_OF_A_CORE)


def _tree_bytes(process: psutil.Process) -> int:
    """Return the memory of a process and all its descendants."""
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
