"""DuckDB files that are in use, or that are no files DuckDB can open."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from mixpanel_source import cli, open_pipeline
from mixpanel_source.destinations.duckdb.errors import explain
from mixpanel_source.destinations.registry import destination_of
from mixpanel_source.errors import BusyError, ConfigError, MixpanelError
from tests.support.lab import Lab

FILE_VARIABLE = "DESTINATION__DUCKDB__CREDENTIALS"


def test_second_data_directory_waits(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A job that shares nothing but the file, by another name, waits and then gives up."""
    access = destination_of(lab.pipeline).acquire()
    (tmp_path / "link.duckdb").symlink_to(tmp_path / "mixpanel.duckdb")
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "other"))
    monkeypatch.setenv(FILE_VARIABLE, str(tmp_path / "link.duckdb"))
    lab.pipeline = open_pipeline()
    with caplog.at_level(logging.WARNING), pytest.raises(BusyError) as raised:
        lab.sync("engage", max_wait_s=60)
    assert f"process {os.getpid()} on" in raised.value.reason
    assert raised.value.exit_code == cli.LATER
    assert "Waiting for up to 60 s" in caplog.text
    assert lab.sandbox.requests == []
    access.release()
    assert lab.sync("engage").failures == {}


def write_text(path: Path) -> None:
    """Write a file of text."""
    path.write_text("not a database\n" * 1_000)


def write_newer(path: Path) -> None:
    """Write a file of a later version of DuckDB."""
    page = bytearray(4096 * 3)
    page[8:12] = b"DUCK"
    page[12] = 255
    path.write_bytes(page)


def write_truncated(path: Path) -> None:
    """Write a file whose end is missing."""
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE numbers AS SELECT range FROM range(1000)")
    path.write_bytes(path.read_bytes()[:5_000])


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (write_text, "is not a DuckDB file"),
        (Path.touch, "is not a DuckDB file"),
        (Path.mkdir, "is a directory"),
        (write_truncated, "is damaged or incomplete"),
    ],
)
@pytest.mark.usefixtures("sandbox")
def test_file_that_is_no_database(
    make: Callable[[Path], None], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every command says what is wrong with the file; a rerun would not help."""
    make(Path("mixpanel.duckdb"))
    codes = set()
    for command in (["sync", "--progress", "off"], ["status"], ["plan"], ["forget", "a"]):
        codes.add(cli.main(command))
        stderr = capsys.readouterr().err
        assert stderr.count("\n") == 1
        assert f"mixpanel.duckdb {error}" in stderr
    assert len(codes) == 1
    assert codes <= {cli.FAILED, cli.WRONG_USAGE}


@pytest.mark.usefixtures("sandbox")
def test_missing_directory_and_memory(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file in a directory that does not exist, and a database in memory, are refused."""
    for place, error in (("no/such.duckdb", "Create it"), (":memory:", "lost when the command")):
        monkeypatch.setenv(FILE_VARIABLE, place)
        assert cli.main(["sync", "--progress", "off"]) == cli.WRONG_USAGE
        assert error in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "kind", "reason"),
    [
        (
            "Could not set lock on file: Conflicting lock is held in /usr/bin/duckdb (PID 12)",
            BusyError,
            "open in another process, duckdb (process 12)",
        ),
        (
            "because it is being used by another process",
            BusyError,
            "open in another process, and",
        ),
        ("a connection with a different configuration", BusyError, "with other settings"),
        (
            "Trying to read a database file with version number 99, but we can only read",
            ConfigError,
            f"DuckDB than the {duckdb.__version__} that is installed",
        ),
        ('Cannot open file "x": Permission denied', ConfigError, "permission denied"),
        ('Cannot open file "x": No such file or directory', ConfigError, "does not exist"),
        ("Corrupt database file: computed checksum", MixpanelError, "damaged"),
        ("No space left on device", MixpanelError, "disk is full"),
        ("Parser Error: Memory must have a number", ConfigError, "Check global_config,"),
        ('Catalog Error: unrecognized configuration parameter "x"', ConfigError, "global_config"),
        ("Invalid Input Error: Could not convert string 'secret'", ConfigError, "global_config"),
        ("secret text", MixpanelError, "cannot be opened (OSError)"),
    ],
)
def test_texts_of_duckdb(text: str, kind: type[MixpanelError], reason: str) -> None:
    """The driver's text decides which error it is; what is not known is not shown."""
    error = explain(OSError(text), Path("x.duckdb"))
    assert type(error) is kind
    assert reason in error.reason
    assert "secret" not in error.reason


def test_file_open_for_a_moment(lab: Lab) -> None:
    """A process that opens the file briefly, as `status` does, does not end a job."""
    assert lab.sync("engage").failures == {}
    hold = "import duckdb, time; c = duckdb.connect('mixpanel.duckdb'); print(flush=True); "
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", f"{hold}time.sleep(0.3)"], stdout=pipe) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert lab.sync("engage", max_wait_s=0).failures == {}
