"""An archive: exactly what Mixpanel served, in files that load like replies."""

from __future__ import annotations

import gzip
import json
import os
import stat
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from fsspec.core import url_to_fs

from mixpanel_sandbox import Fault, Project, Sandbox
from mixpanel_source import JobResult, archive, backfill, cli, forget, open_pipeline, sync
from mixpanel_source.destinations.file_lock import lock_file
from mixpanel_source.errors import BusyError, ConfigError, MixpanelError, ServerError
from mixpanel_source.jobs.archive import ArchiveResult
from mixpanel_source.tables.archive import storage
from mixpanel_source.tables.archive.opening import archive_settings, read_archive
from mixpanel_source.tables.package import TablePart
from mixpanel_source.windows import DAY
from tests.support.archive_kills import archive_with_kills, load_and_compare
from tests.support.lab import Lab
from tests.support.projects import (
    ALL_DAYS,
    ANCHOR,
    EVENTS_PER_DAY,
    LOOKBACK,
    TODAY,
    YESTERDAY,
    add_event,
    make_project,
    make_recent_project,
)
from tests.support.settings import UNLIMITED

EXPORT = TablePart("export")
SLOW = pytest.mark.slow


@pytest.fixture
def project() -> Project:
    """A project with a duplicate, an empty day and an event whose shape is odd."""
    project = make_project()
    add_event(project, date(2026, 11, 14), 1)
    project.events[date(2026, 11, 15)].clear()
    return project


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where the archive is."""
    return tmp_path / "kept" / "archive"


def run(lab: Lab, to: Path, *tables: str, **settings: Any) -> ArchiveResult:
    """Archive with the settings of a lab."""
    return archive(to, tables or ("export", "engage"), **job_of(lab, **settings))


def job_of(lab: Lab, **settings: Any) -> dict[str, Any]:
    """Arguments of a job that archives, with the settings of a lab."""
    job = {**lab._next_job(settings)}
    del job["pipeline"]
    return job


def load(
    lab: Lab, directory: Path | str, *, job: Callable[..., JobResult] = sync, **settings: Any
) -> JobResult:
    """Load from an archive, with no settings but these."""
    lab.clock.advance(seconds=60)
    lab.sandbox.forget_requests()
    return job(from_archive=directory, pipeline=lab.pipeline, clock=lab.clock, **settings)


def read_lines(path: Path) -> list[Any]:
    """The objects in a file."""
    return [json.loads(line) for line in gzip.open(path, "rt")]


def test_holds_what_is_served_and_loads_like_it(lab: Lab, directory: Path) -> None:
    """Each day is a file; a load of them makes no request and has every row."""
    result = run(lab, directory)
    assert (result.failures, result.exit_code) == ({}, 0)
    assert lab.exported == ALL_DAYS
    assert result.files == {"export": 8, "engage": 1}
    assert result.rows == {"export": 8 * EVENTS_PER_DAY - 2, "engage": 5}
    names = [path.name for path in sorted((directory / "export").iterdir())]
    assert names == [f"{day}.jsonl.gz" for day in ALL_DAYS]
    events = read_lines(directory / "export" / "2026-11-14.jsonl.gz")
    assert len(events) == EVENTS_PER_DAY + 1
    assert len(read_lines(directory / "engage" / f"{TODAY}.jsonl.gz")) == 5
    loaded = load(lab, directory)
    assert lab.sandbox.requests == []
    assert (loaded.failures, loaded.requests) == ({}, 0)
    lab.assert_events_kept()
    lab.assert_profiles_kept()
    loads = {row["requests"] for row in lab.rows("_mixpanel_loads")}
    assert loads == {0}
    # the cursor stands where a sync would have left it
    lab.sync("export")
    assert lab.exported == LOOKBACK


def test_spool_of_a_load_is_encrypted_with_a_secret(lab: Lab, directory: Path) -> None:
    """Without an account, each load has a secret of its own, which nobody knows."""
    run(lab, directory)
    archived = read_archive(directory)
    secrets = {archive_settings(archived)["secret"] for _ in range(2)}
    assert len(secrets) == 2
    assert load(lab, directory, encrypt_spool=True).failures == {}
    lab.assert_events_kept()


def test_plain_sql_reads_it(lab: Lab, directory: Path) -> None:
    """The layout is one that other programs read without knowing of it."""
    run(lab, directory, "export")
    query = f"SELECT count(*) FROM read_json('{directory}/export/*.jsonl.gz')"
    with duckdb.connect() as connection:
        assert connection.execute(query).fetchall() == [(8 * EVENTS_PER_DAY - 2,)]


def test_only_its_owner_may_read_it(lab: Lab, directory: Path) -> None:
    """No directory and no file of it is open to others."""
    run(lab, directory)
    paths = {directory, *directory.rglob("*")} - {directory / ".lock"}
    for path in paths:
        assert not stat.S_IMODE(path.stat().st_mode) & (stat.S_IRWXG | stat.S_IRWXO), path


def test_continues_where_it_stopped(lab: Lab, directory: Path) -> None:
    """What is archived and final, or read today, is not requested again."""
    lab.sandbox.inject(Fault("502", day=date(2026, 11, 17)))
    result = run(lab, directory, retries=0)
    assert isinstance(result.failures[EXPORT], ServerError)
    assert result.exit_code == 1
    assert run(lab, directory).failures == {}
    assert lab.exported == ALL_DAYS[4:]
    assert lab.requests_for("engage") == []
    lab.clock.advance(days=1)
    assert run(lab, directory).failures == {}
    assert lab.exported == [str(TODAY), *LOOKBACK]


def test_range(lab: Lab, directory: Path) -> None:
    """Days may be archived that no sync loads, and loaded by a backfill."""
    run(lab, directory, "export", days="2026-11-13,2026-11-14")
    assert lab.exported == ALL_DAYS[:2]
    lab.sandbox.forget_requests()
    result = load(lab, directory, job=backfill, days="2026-11-14,2026-11-16")
    assert (result.failures, result.rows) == ({}, {"export": EVENTS_PER_DAY})
    assert lab.sandbox.requests == []


def test_sync_keeps_an_archive(lab: Lab, directory: Path) -> None:
    """What a sync loads is kept on the way, and restores the same database."""
    assert lab.sync(archive=str(directory)).failures == {}
    lab.clock.advance(days=1)
    add_event(lab.project, YESTERDAY, 7)
    lab.sync(archive=str(directory))
    before = sorted(row["event_key"] for row in lab.rows("export"))
    other = open_pipeline(dataset="restored")
    result = sync(from_archive=directory, pipeline=other, clock=lab.clock)
    assert (result.failures, result.requests) == ({}, 0)
    with other.sql_client() as client:
        rows = client.execute_sql("SELECT event_key FROM export ORDER BY 1")
    assert [key for (key,) in rows or ()] == before


@SLOW
def test_older_archive_replaces_nothing_newer(
    lab: Lab, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Days and profiles that were read later than those of the archive stay."""
    run(lab, directory)
    add_event(lab.project, YESTERDAY, 7)
    lab.project.add_profile("u9", {"$name": "New"})
    lab.sync()
    result = load(lab, directory)
    assert (result.failures, result.windows) == ({}, [])
    assert "are newer than those of the archive" in caplog.text
    lab.assert_events_kept()
    lab.assert_profiles_kept()


@SLOW
def test_missing_day_is_synced_later(
    lab: Lab, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A load says which days an archive lacks, and the next sync requests them."""
    run(lab, directory, "export", days="2026-11-13,2026-11-14")
    run(lab, directory, "export", days="2026-11-19,2026-11-20")
    result = load(lab, directory)
    assert (result.failures, result.rows["export"]) == ({}, 4 * EVENTS_PER_DAY)
    assert "no files of 4 days, the first of which is 2026-11-15" in caplog.text
    assert "engage: the archive has no files" in caplog.text
    lab.sync("export")
    assert {"2026-11-15", "2026-11-16", "2026-11-17", "2026-11-18"} <= {*lab.exported}
    lab.assert_events_kept()


@pytest.mark.parametrize(
    "damage",
    ["changed", pytest.param("cut", marks=SLOW), pytest.param("removed", marks=SLOW), "manifest"],
)
def test_damage_is_refused_by_name(lab: Lab, directory: Path, damage: str) -> None:
    """A file that is not what was archived is named, and nothing of it is loaded."""
    run(lab, directory, "export")
    path = directory / "export" / "2026-11-16.jsonl.gz"
    whole = path.read_bytes()
    if damage == "changed":
        path.write_bytes(gzip.compress(gzip.decompress(whole).replace(b"pro", b"PRO")))
    elif damage == "cut":
        path.write_bytes(whole[:-9])
    elif damage == "removed":
        path.unlink()
    else:
        path = directory / "manifest.json"
        path.write_bytes(path.read_bytes()[:-50])
        with pytest.raises(MixpanelError, match=r"manifest\.json is damaged"):
            load(lab, directory)
        return
    result = load(lab, directory)
    assert str(path) in str(result.failures[EXPORT])
    assert lab.sandbox.requests == []
    lab.assert_events_kept(ANCHOR, date(2026, 11, 15))


def test_forgotten_person_does_not_come_back(lab: Lab, directory: Path) -> None:
    """The archive still has the person; a load leaves the rows out."""
    days = f"{ANCHOR},{ANCHOR}"
    run(lab, directory, days=days)
    load(lab, directory)
    forget(["u1"])
    assert load(lab, directory, tables=["engage"]).failures == {}
    load(lab, directory, job=backfill, days=days)
    for table in ("export", "engage"):
        assert {row["distinct_id"] for row in lab.rows(table)} >= {"u0"}
        assert "u1" not in {row["distinct_id"] for row in lab.rows(table)}


def test_settled_day_that_was_purged_keeps_its_file(
    lab: Lab, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A day that Mixpanel no longer serves is not taken from the archive."""
    run(lab, directory, "export")
    lab.clock.advance(days=30)
    lab.project.events[YESTERDAY].clear()
    assert run(lab, directory, "export").failures == {}
    assert len(read_lines(directory / "export" / f"{YESTERDAY}.jsonl.gz")) == EVENTS_PER_DAY
    assert "serves 0 of the 3 events archived" in caplog.text
    run(lab, directory, "export")
    assert lab.exported == []
    # asked for again, because it is deleted on purpose
    manifest = directory / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"confirmed_at": 17', '"confirmed_at": 16'))
    run(lab, directory, "export", accept_deletions=True)
    assert read_lines(directory / "export" / f"{YESTERDAY}.jsonl.gz") == []


@pytest.mark.parametrize(
    "point", ["after the rename", pytest.param("before the rename", marks=SLOW)]
)
def test_killed_while_a_file_is_replaced(
    lab: Lab, directory: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    """Whichever version is there counts, and nothing is refused."""
    run(lab, directory, "export", days=f"{YESTERDAY},{YESTERDAY}")
    lab.clock.advance(days=1)
    add_event(lab.project, YESTERDAY, 7)
    with monkeypatch.context() as patched:
        after = point.startswith("after")
        patched.setattr(storage, "flush_directory" if after else "replace_durably", kill)
        with pytest.raises(KilledError):
            run(lab, directory, "export", days=f"{YESTERDAY},{YESTERDAY}")
    assert load(lab, directory).failures == {}
    expected = EVENTS_PER_DAY + (1 if after else 0)
    assert lab.count_by_day() == {str(YESTERDAY): expected}
    assert run(lab, directory, "export", days=f"{YESTERDAY},{YESTERDAY}").failures == {}
    assert not list(directory.rglob("*.part"))


class KilledError(BaseException):
    """Ends a job as a kill does."""


def kill(*_arguments: object) -> None:
    """Take the place of a function that a job calls."""
    raise KilledError


@SLOW
def test_killed_anywhere(directory: Path) -> None:
    """Archived with kills in between, it is complete, and loads as if there had been none."""
    project = make_recent_project(12)
    with Sandbox(project, **UNLIMITED) as sandbox:
        assert archive_with_kills(sandbox, directory, project, kills=3, seed=1) >= 1
        sandbox.forget_requests()
        load_and_compare(directory, project, open_pipeline())
        assert sandbox.requests == []


def test_other_project_and_other_filters_are_refused(lab: Lab, directory: Path) -> None:
    """An archive is of one project and of one choice of events; the message names the setting."""
    run(lab, directory)
    with pytest.raises(ConfigError, match="other values of where"):
        run(lab, directory, where='properties["plan"] == "pro"')
    with pytest.raises(ConfigError, match="other values of engage_where"):
        run(lab, directory, engage_where='properties["plan"] == "pro"')
    with pytest.raises(ConfigError, match="other values of events"):
        load(lab, directory, events=["Order"])
    with pytest.raises(ConfigError, match="holds project 1234567"):
        run(lab, directory, project_id=7)
    assert lab.sandbox.requests == []


def test_unfit_directories_and_tables_are_refused(lab: Lab, directory: Path) -> None:
    """Nothing is written among other files, and nothing but events and profiles is archived."""
    with pytest.raises(ConfigError, match="There is no archive"):
        load(lab, directory)
    directory.mkdir(parents=True)
    (directory / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds files, but no manifest"):
        run(lab, directory)
    (directory / "notes.txt").unlink()
    with pytest.raises(ConfigError, match="export and engage only, and not cohorts"):
        run(lab, directory, "cohorts")
    run(lab, directory, "engage")
    with pytest.raises(ConfigError, match="and not cohorts"):
        load(lab, directory, tables=["engage", "cohorts"])
    with pytest.raises(ConfigError, match="no files of export"):
        load(lab, directory, tables=["export"])
    with pytest.raises(ConfigError, match="window_days must be 1"):
        lab.sync(archive=str(directory), window_days=7)


def test_bucket(lab: Lab) -> None:
    """An address that fsspec reaches is as good as a directory."""
    url = "memory://bucket/archive"
    days = f"{ANCHOR},{ANCHOR + DAY}"
    for _ in range(2):
        assert archive(url, days=days, **job_of(lab)).failures == {}
        lab.clock.advance(days=1)
    assert not [*Path(os.environ["DLT_DATA_DIR"]).rglob("*.part")]
    filesystem, _ = url_to_fs(url)
    assert len(filesystem.find("/bucket/archive")) == 5
    result = load(lab, url, tables=["export"])
    assert (result.failures, lab.sandbox.requests) == ({}, [])
    lab.assert_events_kept(ANCHOR, ANCHOR + DAY)
    with pytest.raises(ConfigError, match="There is no archive in memory://elsewhere"):
        load(lab, "memory://elsewhere")
    with pytest.raises(ConfigError, match="install the library"):
        load(lab, "nowhere://elsewhere")


def test_one_writer_at_a_time(lab: Lab, directory: Path) -> None:
    """A second job that writes the same archive is told to wait."""
    run(lab, directory, "engage")
    held = lock_file(directory / ".lock", subject="Another job", remedy="")
    with pytest.raises(BusyError, match="Another job that writes the archive"):
        run(lab, directory)
    held.release()
    assert run(lab, directory).failures == {}


def test_commands(
    configured_lab: Lab,
    directory: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The archive is made with one command, and loaded with another that needs no account."""
    days = [str(ANCHOR), str(ANCHOR + DAY)]
    assert cli.main(["archive", "--to", str(directory), "--range", ",".join(days)]) == cli.DONE
    assert f"3 files added to {directory}" in capsys.readouterr().out
    for name in configured_lab.settings:
        monkeypatch.delenv(f"SOURCES__MIXPANEL__{name.upper()}")
    configured_lab.sandbox.forget_requests()
    assert cli.main(["sync", "--from-archive", str(directory)]) == cli.DONE
    assert "11 rows" in capsys.readouterr().out
    assert configured_lab.sandbox.requests == []
