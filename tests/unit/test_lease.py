"""Leases: one job at a time, whoever is faster, and the next one after a kill."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta

import pytest
from freezegun import freeze_time
from fsspec.implementations.memory import MemoryFileSystem

from mixpanel_source.destinations.lake import lease
from mixpanel_source.destinations.lake.lease import LEASE_S, Leases
from mixpanel_source.errors import BusyError, MixpanelError


@pytest.fixture
def leases() -> Iterator[Leases]:
    """The leases of a dataset that nobody holds."""
    filesystem = MemoryFileSystem()
    filesystem.makedirs("/bucket", exist_ok=True)
    yield Leases(filesystem, "/bucket/.mixpanel.lock-", subject="s3://bucket/mixpanel")
    filesystem.rm("/bucket", recursive=True)


def test_second_job_is_refused(leases: Leases) -> None:
    """Until the first one releases the lease, which it holds alone."""
    first = leases.acquire()
    with pytest.raises(BusyError, match=r"s3://bucket/mixpanel is under way: process \d+ on"):
        leases.acquire()
    first.check()
    first.release()
    second = leases.acquire()
    second.check()
    with pytest.raises(MixpanelError, match="The lease of s3://bucket/mixpanel was lost"):
        first.check()
    second.release()


def test_lease_of_a_killed_job_expires(leases: Leases) -> None:
    """Then another job may follow, and the first one, if it lives, loads nothing more."""
    with freeze_time("2026-11-21") as now:
        killed = leases.acquire()
        now.tick(timedelta(seconds=LEASE_S + 1))
        with pytest.raises(MixpanelError, match="was lost"):
            killed.check()
        follower = leases.acquire()
        follower.check()
        assert leases.newest().number == 2
        follower.release()


def test_lease_of_a_process_that_has_ended(leases: Leases, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the same machine the next job need not wait; on another it does."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    with monkeypatch.context() as patched:
        patched.setattr(os, "getpid", lambda: process.pid)
        leases.acquire()
    with monkeypatch.context() as patched:
        patched.setattr(lease, "_machine", lambda: "another")
        with pytest.raises(BusyError):
            leases.acquire()
    leases.acquire().release()


def test_only_one_job_gets_a_number(leases: Leases, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that saw no lease is refused if another one has created it meanwhile."""
    slower = Leases(leases._filesystem, leases._prefix, subject=leases.subject)
    free = slower.newest()
    held = leases.acquire()
    monkeypatch.setattr(Leases, "newest", lambda _self: free)
    with pytest.raises(BusyError):
        slower.acquire()
    monkeypatch.undo()
    held.check()
    held.release()
