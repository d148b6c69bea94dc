"""Profile pages of servers that mix them up: all profiles, or a refusal and the table as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from mixpanel_source import constants
from mixpanel_source.decode.blocks import BlockReader
from mixpanel_source.decode.index.identity import ProfileIdentifier
from mixpanel_source.decode.verify import verify
from mixpanel_source.errors import MixpanelError, RequestError, TruncatedError
from mixpanel_source.tables.package import TablePart
from mixpanel_source.tables.profiles.pages import PageSequence, parse_page
from tests.integration.test_refused_replies import run
from tests.support.raw_server import http_json, raw_server
from tests.support.tables import select_all

SIZE, TOTAL = 5, 20
Reply = dict[str, Any]
Serve = Callable[[int], Reply]


def profile(number: int, **properties: Any) -> Reply:
    """A profile."""
    return {"$distinct_id": f"u{number}", "$properties": {"points": number, **properties}}


def page(number: int, **changed: Any) -> Reply:
    """The correct page of that number."""
    rows = [profile(number * SIZE + at) for at in range(SIZE)]
    facts = {"page": number, "page_size": SIZE, "session_id": "s", "total": TOTAL, "status": "ok"}
    return {"results": rows, **facts, **changed}


def read(serve: Serve) -> int:
    """Read a session to its end; returns the number of profiles."""
    pages = PageSequence(1000, subject="engage")
    lines = b""
    while not pages.is_complete:
        served = parse_page(json.dumps(serve(pages.count)).encode())
        pages.add(served, seconds=0)
        lines += b"".join(bytes(row) + b"\n" for row in served.results)
    index = verify([lines] if lines else [], BlockReader(ProfileIdentifier())).index
    pages.check(index)
    return len(index) - len(index.dropped)


def ignores_page(number: int) -> Reply:
    """Page 0, whatever is requested."""
    return page(0, page=number)


WRONG: dict[str, tuple[Serve, str]] = {
    "ignores page": (ignores_page, "page 1 has the profiles of page 0"),
    "ignores page and shuffles": (
        lambda n: page(0, page=n, results=page(0)["results"][:: -1 if n % 2 else 1]),
        "page 1 has the profiles of page 0",
    ),
    "ignores page and echoes it": (lambda _: page(0), "page 1 was requested and another one"),
    "ignores page, with other content": (
        lambda n: page(0, page=n, results=[profile(at, seen=n) for at in range(SIZE)]),
        "page 1 has profiles of pages before it",
    ),
    "repeats one": (
        lambda n: page(2 if n == 3 else n, page=n),
        "page 3 has the profiles of page 2",
    ),
    "overlaps by one": (
        lambda n: page(n, results=[profile(n * (SIZE - 1) + at) for at in range(SIZE)]),
        "page 1 has profiles of pages before it",
    ),
    "shrinking total": (
        lambda n: page(n, total=TOTAL if n == 0 else 10),
        "the announced number of profiles changed from 20 to 10",
    ),
    "growing total": (
        lambda n: page(n, total=TOTAL + n),
        "the announced number of profiles changed from 20 to 21",
    ),
    "too many": (lambda n: page(n, total=7), "7 profiles were announced and 10 arrived"),
    "other session": (lambda n: page(n, session_id=f"s{n}"), "changed the session"),
    "other size": (lambda n: page(n, page_size=SIZE + n), "size of a page changed"),
    "empty": (lambda n: page(n, results=[]), "20 profiles were announced and 0 arrived"),
    "ends early": (
        lambda n: page(n, results=[] if n == 2 else page(n)["results"]),
        "20 profiles were announced and 10 arrived",
    ),
    "no session": (lambda n: page(n, session_id=None), "sent no session_id"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_mixed_up_pages(kind: str) -> None:
    """Each is noticed, and named."""
    serve, words = WRONG[kind]
    with pytest.raises(TruncatedError, match=words):
        read(serve)


@pytest.mark.parametrize(
    "serve",
    [
        page,
        lambda n: page(n, total=str(TOTAL), page=str(n)),
        lambda n: page(
            n, page=None, total=TOTAL if n == 0 else None, session_id="s" if not n else ""
        ),
        lambda n: page(n, page_size=0 if n == 0 else None, total=SIZE, results=page(0)["results"]),
    ],
    ids=["correct", "as text", "as little as can be", "no size"],
)
def test_correct_pages(serve: Serve) -> None:
    """Pages that belong together are read."""
    assert read(serve) in (SIZE, TOTAL)


def test_profile_that_comes_twice_with_other_content() -> None:
    """Two profiles with one id are one row, as long as they are few."""
    changed = [profile(0, new=True), *page(2)["results"][1:]]
    assert read(lambda n: page(n, results=changed) if n == 2 else page(n)) == TOTAL - 1


def test_rows_of_another_shape_on_several_pages() -> None:
    """Rows that are no profiles have no id, so they are not the same profile."""
    read(lambda n: page(n, results=[None, *page(n)["results"][1:]]))


@pytest.mark.parametrize("name", ["DUMP_PAGES_MAX", "EXPORT_BYTES_MAX"])
def test_pages_without_end(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages that never end are given up, after a number of pages or bytes."""
    monkeypatch.setattr(constants, name, 50)
    with pytest.raises(RequestError, match="there is no end to the profiles after"):
        read(lambda n: page(n, total=None))


@pytest.mark.parametrize(
    ("kind", "requests"),
    [
        ("ignores page", 4),
        pytest.param("shrinking total", 4, marks=pytest.mark.slow),
        ("too many", 4),
    ],
)
def test_nothing_is_replaced(kind: str, requests: int) -> None:
    """The dump starts over once and is then refused; the table stays as it was."""
    serve: list[Serve] = [page]

    def answer(_path: str, params: dict[str, str]) -> bytes:
        return http_json(serve[0](int(params.get("page", 0))))

    with raw_server(answer) as server:
        first = run(server.url, "engage")
        assert first.rows == {"engage": TOTAL}
        before = sorted(row["distinct_id"] for row in select_all(first.pipeline, "engage"))
        serve[0], words = WRONG[kind]
        server.requests.clear()
        result = run(server.url, "engage")
        assert len(server.requests) == requests
    error = result.failures[TablePart("engage")]
    assert isinstance(error, MixpanelError)
    assert words in str(error)
    assert sorted(row["distinct_id"] for row in select_all(first.pipeline, "engage")) == before


def test_session_that_is_always_refused() -> None:
    """A later page that is refused twice for the same reason is not requested again."""

    def answer(_path: str, params: dict[str, str]) -> bytes:
        if "session_id" in params:
            return http_json({"error": "page is not in the cache"}, 400)
        return http_json(page(0))

    with raw_server(answer) as server:
        result = run(server.url, "engage")
        assert len(server.requests) == 4
    error = result.failures[TablePart("engage")]
    assert 'engage page 1: status 400, "page is not in the cache".' in str(error)
