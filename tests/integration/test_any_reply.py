"""Any JSON value in place of any reply: it is read, or refused with one request."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mixpanel_sandbox import SECRET, USERNAME
from mixpanel_source.api.client import Client
from mixpanel_source.api.projects import read_projects
from mixpanel_source.api.request import Request
from mixpanel_source.api.transport import Transport
from mixpanel_source.catalog.endpoints import ENDPOINTS
from mixpanel_source.config.build import build_config
from mixpanel_source.decode.blocks import BlockReader
from mixpanel_source.decode.index.identity import EventIdentifier
from mixpanel_source.errors import MixpanelError
from mixpanel_source.tables.events.fetching import build_request, receive
from mixpanel_source.tables.lists.fetching import ListFetcher
from mixpanel_source.tables.profiles.dump import ProfileQuery, read_page
from mixpanel_source.tables.profiles.pages import PageSequence
from mixpanel_source.tables.spool.spool import Spool
from mixpanel_source.windows import Window
from tests.support.clock import Clock

DAY = Window(date(2026, 1, 31), date(2026, 1, 31))
RETRIES = 2
names = st.sampled_from(
    (
        *("error", "status", "message", "results", "total", "page", "page_size", "session_id"),
        *("event", "properties", "$distinct_id", "projects", "data", "id", "name", "x"),
    )
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=10,
)
Read = Callable[[Client, Path], object]


class FakeResponse:
    """A response of the HTTP library with a whole body."""

    def __init__(self, body: bytes, status: int) -> None:
        self.status_code = status
        self.headers = {"Content-Length": str(len(body))}
        self.raw = self
        self._body = body

    def read1(self, _size: int, *, decode_content: bool) -> bytes:
        """The body, then nothing."""
        assert isinstance(decode_content, bool)
        body, self._body = self._body, b""
        return body

    def __enter__(self) -> FakeResponse:
        """Open."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""


def read_profiles(client: Client, _directory: Path) -> object:
    """The first page of a dump."""
    _, page = client.send(ProfileQuery("engage").request(), read_page)
    PageSequence(1000, subject="engage").add(page, seconds=0)
    return page


def read_events(client: Client, directory: Path) -> object:
    """A window of events."""
    reader = BlockReader(EventIdentifier())
    spool = Spool(directory / "spool")
    request = build_request(DAY, client._config)
    return client.send(request, lambda reply: receive(spool, "w", reader, lambda: None, reply))


def read_list(name: str) -> Read:
    """A list of the endpoint of that name."""

    def read(client: Client, _directory: Path) -> object:
        context: Any = SimpleNamespace(
            client=client, patience_s=lambda _: 60.0, config=client._config
        )
        package: Any = SimpleNamespace(table=name)
        return ListFetcher(context, package).rows(name)

    return read


def read_account(client: Client, _directory: Path) -> object:
    """The projects of the account."""
    return read_projects(client)


READERS: dict[str, Read] = {
    "engage": read_profiles,
    "export": read_events,
    "projects": read_account,
    **{
        known.name: read_list(known.name)
        for known in ENDPOINTS
        if known.name in ("cohorts", "annotations", "lexicon", "lookup_tables")
    },
}


@pytest.mark.parametrize("name", READERS)
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    body=values.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40),
    status=st.sampled_from((200, 200, 200, 200, 204, 400, 403, 418, 429, 500)),
)
def test_any_reply(
    name: str, body: bytes, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never an unexpected error, never a retry that cannot help, never more than the budget."""
    sent: list[Request] = []

    def answer(_transport: Transport, request: Request) -> FakeResponse:
        sent.append(request)
        return FakeResponse(body, status)

    monkeypatch.setattr(Transport, "open", answer)
    given_settings = {"username": USERNAME, "secret": SECRET, "project_id": 1}
    config = build_config({**given_settings, "retries": RETRIES, "requests_per_hour": 0})
    client = Client(config, clock=Clock(), directory=tmp_path)
    message = ""
    try:
        READERS[name](client, tmp_path)
    except MixpanelError as error:
        message = str(error)
    assert message == "" or message.isprintable()
    assert len(message) < 1_000
    # refusals for the quota are waited out, and do not count
    assert len(sent) <= RETRIES + 1 or status == 429 or b"rate" in body
