"""Mistakes with single changes: each ends with exit code 2 before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from mixpanel_sandbox import KINDS, Fault
from mixpanel_sandbox.fault_kinds import FaultKind
from mixpanel_sandbox.messages import json_response
from tests.support.writing import PREFIX, Writing

PROJECT = "--project-id=1234567"
TABLE = "0a7f1d1c-5a3e-4f0e-9a65-1a3b5c7d9e01"
ENGAGE = ("request", "POST", "/engage", PROJECT, "--yes", "--data", "FILE")
CANCEL = (
    *("request", "POST", "/api/2.0/nessie/pipeline/cancel", PROJECT, "--yes-destroy"),
    *("--data", "FILE"),
)
TAGS = "/api/app/projects/1234567/annotations/tags"
LEXICON = ("lexicon", "push", "FILE", PROJECT, "--yes-destroy")
LOOKUP = ("lookup-table", "replace", TABLE, "FILE", PROJECT, "--yes")
NOTE = ("--date", "2026-11-02", "--description", "x")
ADD = ("annotations", "add", PROJECT, "--yes")
CREATE = ("pipelines", "create", PROJECT, "--yes", "--type")
ENTRY = '{"entityType": "event", "name": "A", "schemaJson": {}}'


def run(writing: Writing, arguments: tuple[str, ...], text: str = "") -> int:
    """Run a command in which FILE is a file with a text; returns 2 where argparse exits."""
    path = writing.directory / "file"
    path.write_text(text)
    given = [str(path) if argument == "FILE" else argument for argument in arguments]
    try:
        return writing.run(*given)
    except SystemExit as exit_:
        return int(exit_.code or 0)


def check(writing: Writing, arguments: tuple[str, ...], text: str = "") -> None:
    """Check that a command is refused before it writes."""
    assert run(writing, arguments, text) == 2
    assert [record.method for record in writing.sandbox.requests if record.method != "GET"] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("annotations", "add", *NOTE, "--yes"),
        ("annotations", "add", *NOTE, "--project-id=7654321", "--yes"),
        ("annotations", "add", *NOTE, PROJECT),
        ("profiles", "delete", "u1", PROJECT, "--yes"),
        ("profiles", "delete", PROJECT, "--yes-destroy"),
        ("profiles", "delete", "--from", "missing.txt", PROJECT, "--yes-destroy"),
        ("groups", "delete", "u1", PROJECT, "--yes-destroy"),
        ("identity", "identify", "--anonymous", "x", "--user", "u1", PROJECT, "--yes"),
        ("identity", "merge", "u1", "u1", PROJECT, "--yes"),
        ("identity", "alias", "--distinct-id", "anon", "--alias", "x", PROJECT, "--yes"),
        (*ADD, "--date", "2 November", "--description", "x"),
        (*ADD, "--date", "2026-11-02"),
        (*ADD, *NOTE, "--from", "FILE"),
        ("annotations", "edit", "1", PROJECT, "--yes"),
        (*CREATE, "gcs-raw", "-p", "from_date=2026-11-01"),
        (*CREATE, "gcs-raw", "-p", "trial=true", "-p", "bucket=x"),
        (*CREATE, "bigquery", "-p", "trial=true", "-p", "from_date=2020-01-01"),
        (*CREATE, "ftp"),
        ("pipelines", "edit", "x", PROJECT, "--yes"),
        ("pipelines", "cancel", "no such", PROJECT, "--yes-destroy"),
        ("pipelines", "cancel", "no such", PROJECT, "--yes"),
        ("gdpr", "delete", "u1", PROJECT, "--yes-destroy"),
        ("lookup-table", "replace", "no such", "FILE", PROJECT, "--yes"),
        ("request", "GET", TAGS, PROJECT, "--yes"),
        ("request", "POST", "/api/query/engage", PROJECT, "--yes"),
        ("request", "POST", TAGS.replace("1234567", "99"), PROJECT, "--yes"),
        ("request", "POST", "/api/app/../app/x", PROJECT, "--yes-destroy"),
        ("request", "POST", "/api/app/%2e%2e/x", PROJECT, "--yes-destroy"),
        ("request", "POST", "https://example.com/x", PROJECT, "--yes-destroy"),
        ("request", "POST", "/import?project_id=99", PROJECT, "--yes"),
        ("request", "POST", "/import", "-p", "project_id=99", PROJECT, "--yes"),
        ("request", "POST", "/api/app/projects/{project_id}/flags", PROJECT, "--yes"),
        ("request", "DELETE", TAGS, PROJECT, "--yes"),
        ("request", "POST", "/api/app/%70rojects/99/annotations", PROJECT, "--yes-destroy"),
        ("request", "POST", "/api/app/Projects/99/annotations", PROJECT, "--yes-destroy"),
        ("request", "POST", "/api/app/x/%252e%252e/y", PROJECT, "--yes-destroy"),
        ("request", "POST", "/api/app/x;/y", PROJECT, "--yes-destroy"),
        ("request", "POST", "/api/app//x", PROJECT, "--yes-destroy"),
        ("request", "POST", "/IMPORT", PROJECT, "--yes-destroy"),
        ("request", "POST", "/", PROJECT, "--yes-destroy"),
    ],
    ids=" ".join,
)
def test_arguments(writing: Writing, arguments: tuple[str, ...]) -> None:
    """A project that is not meant, a missing confirmation, an argument that cannot be right."""
    check(writing, arguments, text="id\n1\n")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (LEXICON, ""),
        (LEXICON, "[]"),
        (LEXICON, "[5]"),
        (LEXICON, '{"entityType": "user", "name": "A", "schemaJson": {}}'),
        (LEXICON, '{"entityType": "profile", "name": "A", "schemaJson": {}}'),
        (LEXICON, f"{ENTRY}\n{ENTRY}"),
        (LEXICON, '{"entityType": "event", "name": "A", "schema": {}}'),
        (LOOKUP, ""),
        (LOOKUP, "id,id\n1,2\n"),
        (LOOKUP, "id,\n1,2\n"),
        (LOOKUP, "id,a\n1,2\n1,3\n"),
        (LOOKUP, "id,a\n,2\n"),
        (LOOKUP, "id,a\n1\n"),
        (LOOKUP, 'id,a\n1,"2\n'),
        ((*ADD, "--from", "FILE"), '{"date": "2026-11-02"}'),
        ((*ADD, "--from", "FILE"), "x"),
        (ENGAGE, '[{"$token": "other", "$distinct_id": "x", "$set": {}}]'),
        (ENGAGE, '[{"$token": "{token}"}, {"$distinct_id": "x", "$set": {}}]'),
        (ENGAGE, '[{"$token": "{token}", "$distinct_id": "x", "$delete": ""}]'),
        (ENGAGE, "not JSON"),
        (CANCEL, "name=x&project_id=99"),
        (CANCEL, '{"name": "x", "project_id": 99}'),
    ],
)
def test_files(writing: Writing, arguments: tuple[str, ...], text: str) -> None:
    """What Mixpanel would refuse, or would take for another project."""
    check(writing, arguments, text)


def test_rows_of_a_lookup_table_are_named(
    writing: Writing, capsys: pytest.CaptureFixture[str]
) -> None:
    """By their number in the file, without what is in them."""
    check(writing, LOOKUP, "id,a\nsecret-1,2\nsecret-1,3\n,4\n5\n")
    shown = capsys.readouterr().err
    assert "row 3 has the key of row 2; row 4 has an empty key; row 5 has 1 fields, not 2" in shown
    assert "secret-1" not in shown


@pytest.mark.parametrize(
    ("name", "value"),
    [("username", "x"), ("secret", "x"), ("project_id", "7654321"), ("token", "0" * 32)],
)
def test_settings(
    writing: Writing,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: str,
) -> None:
    """Wrong credentials and the token of another project; no secret is shown."""
    writing.project.add_profile("u1", {})
    monkeypatch.setenv(PREFIX + name.upper(), value)
    given = f"--project-id={value if name == 'project_id' else 1234567}"
    code = run(writing, ("profiles", "delete", "u1", given, "--yes-destroy", "--debug"))
    shown = "".join(capsys.readouterr())
    assert code == 2
    assert len(writing.project.profiles) == 1
    assert "/engage" not in writing.posts
    for secret in (writing.sandbox.secret, writing.project.token, "0" * 32):
        assert secret not in shown


def test_secrets_are_in_no_url(
    writing: Writing, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Except for the project token of requests about persons, which Mixpanel takes nowhere else."""
    run(writing, ("profiles", "delete", "u1", PROJECT, "--yes-destroy", "--debug"))
    run(writing, ("identity", "merge", "u1", "u2", PROJECT, "--yes", "--debug"))
    shown = "".join(capsys.readouterr())
    for secret in (writing.sandbox.secret, writing.project.token):
        assert secret not in shown
        assert all(secret not in str(record.params) for record in writing.sandbox.requests)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "file"]


@pytest.mark.parametrize("status", [400, 502])
def test_secrets_of_pipelines_are_in_no_message(
    writing: Writing,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    status: int,
) -> None:
    """Even if Mixpanel repeats them in an error."""
    password = "hunter2-hunter2"
    text = f"cannot connect with {password}"
    change = FaultKind("", lambda _response, _seconds: json_response({"error": text}, status))
    monkeypatch.setitem(KINDS, "echo", change)
    writing.sandbox.inject(Fault("echo", table="pipeline_changes"))
    path = writing.directory / "password"
    path.write_text(f"{password}\n")
    given = ("-p", "trial=true", "-p", f"snowflake_password=@{path}", "--debug")
    assert run(writing, (*CREATE, "snowflake", *given)) == 1
    shown = "".join(capsys.readouterr())
    assert "cannot connect" in shown
    assert password not in shown
