"""dlt's own settings: what is wrong with them is reported before the first request."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from dlt.common.configuration.container import Container
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext

from mixpanel_sandbox import Sandbox
from mixpanel_source import cli, open_pipeline, status, sync
from mixpanel_source.config.dlt_settings import check_dlt_settings
from mixpanel_source.config.settings_errors import settings_errors
from mixpanel_source.errors import ConfigError

SECRET = "hunter2-XyZ"

VARIABLES: list[tuple[str, str, str]] = [
    ("LOAD__WORKERS", SECRET, "LOAD__WORKERS must be a whole number."),
    ("LOAD__WORKERS", "0", "LOAD__WORKERS must be 1 or more."),
    ("LOAD__RAISE_ON_MAX_RETRIES", "often", "LOAD__RAISE_ON_MAX_RETRIES must be a whole number."),
    ("LOAD__TRUNCATE_STAGING_DATASET", "maybe", "must be true or false."),
    ("LOAD__PARALLELISM_STRATEGY", "fast", "must be one of parallel, table-sequential, sequential"),
    ("NORMALIZE__WORKERS", "two", "NORMALIZE__WORKERS must be a whole number."),
    ("NORMALIZE__WORKERS", "-1", "NORMALIZE__WORKERS must be 1 or more."),
    ("NORMALIZE__START_METHOD", "thread", "NORMALIZE__START_METHOD must be one of "),
    ("NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_LOAD_ID", "maybe", "_ADD_DLT_LOAD_ID must be true or"),
    ("NORMALIZE__DATA_WRITER__FILE_MAX_ITEMS", "x", "FILE_MAX_ITEMS must be a whole number."),
    ("EXTRACT__WORKERS", "x", "EXTRACT__WORKERS must be a whole number."),
    ("EXTRACT__MAX_PARALLEL_ITEMS", "0", "EXTRACT__MAX_PARALLEL_ITEMS must be 1 or more."),
    ("DATA_WRITER__BUFFER_MAX_ITEMS", "1e9", "BUFFER_MAX_ITEMS must be a whole number."),
    ("DATA_WRITER__DISABLE_COMPRESSION", "maybe", "DISABLE_COMPRESSION must be true or false."),
    ("SOURCES__MIXPANEL__DATA_WRITER__FILE_MAX_BYTES", "1 GB", "must be a whole number."),
    ("RUNTIME__LOG_LEVEL", "LOUD", "RUNTIME__LOG_LEVEL must be one of CRITICAL, ERROR, WARNING"),
    ("RUNTIME__LOG_LEVEL", "info", "RUNTIME__LOG_LEVEL must be one of CRITICAL"),
    ("RUNTIME__REQUEST_TIMEOUT", "soon", "RUNTIME__REQUEST_TIMEOUT must be a number."),
    ("RUNTIME__DLTHUB_TELEMETRY", "maybe", "RUNTIME__DLTHUB_TELEMETRY must be true or false."),
    ("SCHEMA__NAMING", "snake", "SCHEMA__NAMING must be a naming convention of dlt, such as snake"),
    ("SCHEMA__NAMING", "no.such.Naming", "SCHEMA__NAMING must be a naming convention"),
    ("SOURCES__MIXPANEL__SCHEMA__NAMING", "json", "SCHEMA__NAMING must be a naming convention"),
    ("SCHEMA__JSON_NORMALIZER", "relational", "JSON_NORMALIZER must be a table, or JSON text"),
    ("SCHEMA__JSON_NORMALIZER", '{"module": "nope"}', "must be a table with a module of dlt."),
    ("WORKERS", "many", "WORKERS must be a whole number."),
]
"""Variable, value, part of the message."""

DESTINATION: list[tuple[str, str, str]] = [
    ("DESTINATION__DUCKDB__CREDENTIALS__GLOBAL_CONFIG", SECRET, "must be a table, or JSON text of"),
    ("DESTINATION__DUCKDB__CREDENTIALS__READ_ONLY", "maybe", "READ_ONLY must be true or false."),
    ("DESTINATION__DUCKDB__CREATE_INDEXES", "maybe", "CREATE_INDEXES must be true or false."),
    ("DESTINATION__DUCKDB__REPLACE_STRATEGY", "fast", "must be one of truncate-and-insert,"),
    ("DESTINATION__REPLACE_STRATEGY", "fast", "DESTINATION__REPLACE_STRATEGY must be one of"),
    ("PIPELINES__MIXPANEL__RESTORE_FROM_DESTINATION", "maybe", "must be true or false."),
]


def assert_plain(error: ConfigError | str, words: str) -> None:
    """Assert that a message has these words and no value."""
    message = str(error)
    assert words in message
    assert SECRET not in message
    assert "\n" not in message


@pytest.mark.parametrize(("name", "value", "words"), VARIABLES, ids=repr)
def test_variables(monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str) -> None:
    """The message has the name of the variable and the valid values."""
    # undone before dlt is reset, which reads the settings
    with monkeypatch.context() as patch:
        patch.setenv(name, value)
        with pytest.raises(ConfigError) as raised:
            check_dlt_settings()
    assert str(raised.value).startswith(name)
    assert_plain(raised.value, words)


@pytest.mark.parametrize(("name", "value", "words"), DESTINATION, ids=repr)
def test_variables_of_the_destination(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    """So it is for what dlt reads when it makes a pipeline."""
    monkeypatch.setenv(name, value)
    for use in (open_pipeline, status):
        with pytest.raises(ConfigError) as raised:
            use()
        assert str(raised.value).startswith(name)
        assert_plain(raised.value, words)


LINES: list[tuple[str, str]] = [
    ('[load]\nworkers = "many"\n', ".dlt/config.toml, line 2: workers of [load] must be a whole"),
    ("[load]\n# none\n\nworkers = 0\n", "line 4: workers of [load] must be 1 or more."),
    ('load.workers = "many"\n', "config.toml, line 1: workers must be a whole number."),
    ('[runtime]\nlog_level = "LOUD"\n', "line 2: log_level of [runtime] must be one of CRITICAL"),
    ('[schema]\nnaming = "snake"\n', "line 2: naming of [schema] must be a naming convention"),
    ("[normalize.data_writer]\nfile_max_items = 1.5\n", "of [normalize.data_writer] must be a who"),
    ('[sources]\nmixpanel = "x"\n', "[sources.mixpanel] of config.toml must be a section"),
    ("sources = 5\n", "[sources.mixpanel] of config.toml must be a section"),
    ("[[sources.mixpanel]]\nregion = 'eu'\n", "[sources.mixpanel] of config.toml must be a sec"),
]


@contextmanager
def settings_file(directory: Path, name: str, content: str | bytes) -> Iterator[None]:
    """A settings file that is removed before dlt is reset."""
    path = directory / ".dlt" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    try:
        yield
    finally:
        path.unlink()


@pytest.mark.parametrize(("text", "words"), LINES, ids=repr)
def test_lines(sandbox: Sandbox, tmp_path: Path, text: str, words: str) -> None:
    """In a file the setting is named with its line and section."""
    with settings_file(tmp_path, "config.toml", text):
        with suppress(ValueError):  # of the logger
            Container()[PluggableRunContext].reload_providers()
        with pytest.raises(ConfigError) as raised:
            sync()
    assert_plain(raised.value, words)
    assert sandbox.requests == []


FILES: list[tuple[str, str | bytes, str]] = [
    (
        "secrets.toml",
        f"[sources.mixpanel]\nsecret = {SECRET}\n",
        ".dlt/secrets.toml, line 2: secret",
    ),
    ("secrets.toml", f"a = 1\na = 2 # {SECRET}\n", ".dlt/secrets.toml, line 2: a is there twice"),
    ("config.toml", b"\xef\xbb\xbfa = 1\n", ".dlt/config.toml begins with a byte-order mark."),
    ("config.toml", b"a = 'Z\xfcrich'\n", ".dlt/config.toml, line 1: there is a character"),
]


@pytest.mark.parametrize(("name", "content", "words"), FILES, ids=repr)
def test_files(tmp_path: Path, name: str, content: str | bytes, words: str) -> None:
    """A file that dlt cannot read is named, with the line."""
    with (
        settings_file(tmp_path, name, content),
        pytest.raises(ConfigError) as raised,
        settings_errors(),
    ):
        Container()[PluggableRunContext].reload_providers()
    assert_plain(raised.value, words)


def test_directory(tmp_path: Path) -> None:
    """A directory in place of a file is refused; dlt would take the file for absent."""
    (tmp_path / ".dlt" / "config.toml").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"config\.toml is a directory; it must be a file"):
        check_dlt_settings()


@pytest.mark.parametrize(
    "arguments",
    [
        ["sync"],
        ["backfill", "--range", "2026-01-01,2026-01-01"],
        ["catch-up"],
        ["check"],
        ["plan"],
        ["status"],
        ["reconcile"],
        ["request", "GET", "/api/query/events/names"],
        ["forget", "u1"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_commands(
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
) -> None:
    """Every command ends with 2 and one line, before the first request."""
    monkeypatch.setenv("LOAD__WORKERS", SECRET)
    assert cli.main(arguments) == cli.WRONG_USAGE
    assert capsys.readouterr().err == "error: LOAD__WORKERS must be a whole number.\n"
    assert sandbox.requests == []


def test_process(tmp_path: Path) -> None:
    """In a new process, dlt reads the files when it is first used."""
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt" / "secrets.toml").write_text(f"[sources.mixpanel]\nsecret = {SECRET}\n")
    done = subprocess.run(
        [sys.executable, "-m", "mixpanel_source.cli", "status"],
        capture_output=True,
        text=True,
        check=False,
    )
    (tmp_path / ".dlt" / "secrets.toml").unlink()
    assert done.returncode == cli.WRONG_USAGE
    path = tmp_path / ".dlt" / "secrets.toml"
    assert done.stderr == f'error: {path}, line 2: secret must be in quotes: secret = "...".\n'
