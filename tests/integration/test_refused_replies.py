"""Refusals of every form and status: their words are shown, and they cost one request."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mixpanel_sandbox import SECRET, USERNAME
from mixpanel_source import cli, open_pipeline, sync
from mixpanel_source.api.client import Client
from mixpanel_source.api.projects import read_projects
from mixpanel_source.api.request import Request
from mixpanel_source.catalog.endpoints import endpoint
from mixpanel_source.cli.text import for_terminal
from mixpanel_source.config.build import build_config
from mixpanel_source.errors import (
    AccessError,
    MixpanelError,
    RequestError,
    TruncatedError,
)
from mixpanel_source.tables.package import TablePart
from mixpanel_source.tables.profiles.dump import read_page
from tests.support.clock import Clock
from tests.support.raw_server import Answer, http, http_json, raw_server
from tests.support.settings import set_environment
from tests.support.tables import select_all

WORDS = "Cohort was deleted"
ENGAGE = Request(endpoint("engage"), "engage", detail="page 0", form={})
FORMS = {
    "error": json.dumps({"error": WORDS}),
    "status and error": json.dumps({"status": "error", "error": WORDS, "results": []}),
    "nested": json.dumps({"error": {"message": WORDS}}),
    "message": json.dumps({"message": WORDS}),
    "detail": json.dumps({"detail": [{"loc": ["form"], "msg": WORDS}]}),
    "list": json.dumps([{"error": WORDS}]),
    "cut": f'{{"error": "{WORDS}',
    "text": f"{WORDS}\n",
}


def settings(url: str) -> dict[str, Any]:
    """What reads from a server."""
    urls = dict.fromkeys(("base_url", "export_base_url", "ingestion_base_url"), url)
    return {"username": USERNAME, "secret": SECRET, "project_id": 1, **urls}


def run(url: str, *tables: str, clock: Clock | None = None, **given: Any) -> Any:
    """Sync tables into DuckDB."""
    values = {"anchor_date": "2026-11-19", **settings(url), **given}
    return sync(tables, pipeline=open_pipeline(), clock=clock or Clock(), **values)


def fail(answer: Answer | bytes, directory: Path) -> MixpanelError:
    """The error of one request, which must not be repeated."""
    clock = Clock()
    with raw_server(answer) as server:
        client = Client(build_config(settings(server.url)), clock=clock, directory=directory)
        with pytest.raises(MixpanelError) as caught:
            client.send(ENGAGE, read_page)
        assert len(server.requests) == 1
        assert clock.sleeps == []
    return caught.value


@pytest.mark.parametrize("status", [200, 400, 405, 418, 451])
@pytest.mark.parametrize("form", FORMS)
def test_words_are_shown(status: int, form: str, tmp_path: Path) -> None:
    """Whatever the form and the status, the words are in the message, and all on request."""
    body = FORMS[form].encode()
    headers = "Transfer-Encoding: chunked"
    chunked = f"HTTP/1.1 {status} x\r\n{headers}\r\n\r\n".encode()
    for at in range(0, len(body), 9):
        piece = body[at : at + 9]
        chunked += b"%x\r\n%b\r\n" % (len(piece), piece)
    for reply in (http(body, status), chunked + b"0\r\n\r\n"):
        error = fail(reply, tmp_path / str(len(reply)))
        assert type(error) is RequestError
        assert f'engage page 0: status {status}, "{WORDS}".' in str(error)
        assert error.answer == WORDS


@pytest.mark.parametrize("form", ["status and error", "message", "list"])
def test_each_table(form: str) -> None:
    """In each kind of table a refusal with status 200 costs one request, and stops no other."""
    tables = ("export", "engage", "cohorts", "annotations", "event_names")
    reports = [{"name": "Names", "table": "event_names", "params": {"type": "general"}}]
    with raw_server(http(FORMS[form].encode())) as server:
        result = run(server.url, *tables, reports=reports)
        assert len(server.requests) == len(tables)
    assert len(result.failures) == len(tables)
    for error in result.failures.values():
        assert type(error) is RequestError
        assert WORDS in str(error)


def test_refused_cohort_leaves_the_quota_to_others() -> None:
    """The cohort that is refused takes one request; the others are loaded."""

    def answer(_path: str, params: dict[str, str]) -> bytes:
        if json.loads(params["filter_by_cohort"])["id"] == 7:
            return http_json({"status": "error", "error": "Cohort was deleted by project_id 1"})
        rows = [{"$distinct_id": "a", "$properties": {}}]
        return http_json({"results": rows, "page": 0, "total": 1, "session_id": "s"})

    with raw_server(answer) as server:
        result = run(server.url, "cohort_members", cohort_ids=[7, 8, 9], requests_per_hour=3)
        assert len(server.requests) == 3
    ((part, error),) = result.failures.items()
    assert part == TablePart("cohort_members", "7")
    assert "Check cohort_ids, or whether cohort 7 still exists." in str(error)
    assert {row["cohort_id"] for row in select_all(result.pipeline, "cohort_members")} == {8, 9}


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (200, "Timeout Error."),
        (200, "Query rate limit exceeded for project_id: 1"),
        (400, "An internal error occurred, try again"),
    ],
)
def test_what_may_pass_is_repeated(status: int, text: str, tmp_path: Path) -> None:
    """Failures of Mixpanel are retried, whatever their status."""
    replies = [http_json({"error": text}, status), http_json({"results": []})]
    clock = Clock()
    with raw_server(lambda *_: replies.pop(0)) as server:
        client = Client(build_config(settings(server.url)), clock=clock, directory=tmp_path)
        assert client.send(ENGAGE, read_page)[1].results == []
        assert len(server.requests) == 2
    assert clock.sleeps == [10]


@pytest.mark.parametrize("status", [200, 403, 405])
def test_page_of_a_proxy(status: int, tmp_path: Path) -> None:
    """The title is shown, with what to check; with status 200 it is requested once more."""
    page = b"<html><head><title>Access denied by Example Guard</title></head><p>x</p></html>"
    kind = {200: TruncatedError, 403: AccessError, 405: RequestError}[status]
    clock = Clock()
    with raw_server(http(page, status)) as server:
        client = Client(build_config(settings(server.url)), clock=clock, directory=tmp_path)
        with pytest.raises(kind, match="an HTML page: Access denied by Example Guard") as caught:
            client.send(ENGAGE, read_page)
        assert len(server.requests) == (2 if status == 200 else 1)
    for word in ("proxy or firewall", "HTTPS_PROXY", "base_url"):
        assert word in str(caught.value)


def test_page_of_a_proxy_in_each_table() -> None:
    """Two requests for a table, also where restarts and halves are possible."""
    with raw_server(http(b"<html><title>Sign in</title></html>")) as server:
        result = run(server.url, "engage", "cohorts")
        assert len(server.requests) == 4
    assert all("Sign in" in str(error) for error in result.failures.values())


def test_other_json_is_refused_at_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A whole reply of another shape is not repeated: it was not cut off."""
    with raw_server(http_json({"results": {"projects": [1]}})) as server:
        config = build_config(settings(server.url))
        client = Client(config, clock=Clock(), directory=tmp_path)
        assert read_projects(client) is None
        assert len(server.requests) == 1
    assert "project: the reply is not a list of projects." in caplog.text


@pytest.mark.parametrize(
    "echo",
    [
        lambda pair: f"secret {SECRET} of {pair}",
        lambda pair: f"Authorization: Basic {base64.b64encode(pair.encode()).decode()}",
        lambda pair: "\x1b]0;title\x07\x1b[31m" + base64.b64encode(pair.encode()).decode(),
    ],
    ids=["secret", "header", "terminal"],
)
def test_echoes(echo: Callable[[str], str], tmp_path: Path) -> None:
    """No form of the credentials is in a message, and no escape of a terminal."""
    text = echo(f"{USERNAME}:{SECRET}")
    make = partial(http_json, {"error": text})
    for reply in (make(400), make(500), make(200), http(text.encode(), 400)):
        clock = Clock()
        with raw_server(reply) as server:
            values = {**settings(server.url), "retries": 0}
            client = Client(build_config(values), clock=clock, directory=tmp_path)
            with pytest.raises(MixpanelError) as caught:
                client.send(ENGAGE, read_page)
        for shown in (str(caught.value), caught.value.answer):
            assert SECRET not in shown
            assert base64.b64encode(f"{USERNAME}:{SECRET}".encode()).decode()[8:-8] not in shown
            assert shown.isprintable()
        assert caught.value.__cause__ is None


def test_all_words_on_request(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`request` shows what the message hides, without credentials and escapes; so does --debug."""
    text = f'no event "Jane\x1b[2J" for {SECRET} {"and more " * 40}end'
    with raw_server(http_json({"error": text}, 400)) as server:
        set_environment(monkeypatch, settings(server.url))
        arguments = ["request", "GET", "/api/query/events/names", "-p", "type=general"]
        sync_cohorts = ["sync", "--tables", "cohorts", "--debug"]
        for written in (arguments, [*arguments, "--debug"], sync_cohorts):
            assert cli.main(written) != cli.DONE
            shown = capsys.readouterr().err
            assert shown.count('Mixpanel\'s answer: no event "Jane\\x1b[2J" for ... and') == 1
            assert "more end" in shown
            assert SECRET not in shown
            error = next(line for line in shown.splitlines() if line.startswith("error: "))
            assert "Jane" not in error
            assert "no event ... for ... and more" in error


def test_body_that_repeats_the_secret(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """What `request` prints has no credentials; else it is as it came."""
    with raw_server(http(f'["a", "{SECRET}", "\x1b[1m"]'.encode())) as server:
        set_environment(monkeypatch, settings(server.url))
        assert cli.main(["request", "GET", "/api/query/events/names"]) == cli.DONE
    assert capfdbinary.readouterr().out == b'["a", "...", "\x1b[1m"]'
    assert "".join(for_terminal([b'"\x1b[1m\xc3', b'\xbc"\n'])) == '"\\x1b[1mü"\n'
