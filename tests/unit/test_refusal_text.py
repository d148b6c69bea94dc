"""What a refusal says is found in whatever form it comes; what is none is not taken for one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_source.api.refusal_text import (
    MAX_BYTES,
    find_refusal,
    find_refusal_in_text,
    read_refusal,
)

keys = st.sampled_from(("error", "errors", "message", "detail", "status", "results", "x"))
replies = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)
WORDS = "Cohort was deleted"
PAGE = (
    "<!DOCTYPE html>\n<html lang=en><head><title>\n Blocked &amp; logged </title></head>"
    "<body><h1>No</h1><p>Your secret is safe</p></body></html>"
)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (json.dumps({"error": WORDS}), WORDS),
        (json.dumps({"request": "/api/query/engage?a=1", "error": WORDS}), WORDS),
        (json.dumps({"status": "error", "error": WORDS}), WORDS),
        (json.dumps({"error": {"message": WORDS, "code": 3}}), WORDS),
        (json.dumps({"error": {"errors": [{"detail": WORDS}]}}), WORDS),
        (json.dumps({"message": WORDS}), WORDS),
        (json.dumps({"detail": WORDS}), WORDS),
        (json.dumps({"detail": [{"loc": ["query"], "msg": WORDS, "type": "x"}]}), WORDS),
        (json.dumps([{"error": WORDS}]), WORDS),
        (json.dumps([WORDS]), WORDS),
        (json.dumps(WORDS), WORDS),
        (json.dumps({"errors": {"from_date": [WORDS]}}), f"from_date: {WORDS}"),
        (json.dumps({"error": "Bad Request", "message": WORDS}), f"Bad Request: {WORDS}"),
        (json.dumps({"error": None, "message": WORDS}), WORDS),
        (f'{{"error": "{WORDS}', WORDS),
        (f'{{"error": {{"message": "{WORDS}\\', WORDS),
        (f'{{"request":null,"error":"{WORDS} \\u00e', f"{WORDS} "),
        (f"  {WORDS}\n", WORDS),
        (f"\ufeff{json.dumps({'error': WORDS})}", WORDS),
        (f"<Error><Code>1</Code><Message>{WORDS}</Message></Error>", f"1  {WORDS}"),
        (PAGE, "an HTML page: Blocked & logged"),
        ("<html><body>x</body></html>", "an HTML page"),
        ("", ""),
        ("{}", ""),
        ("[]", ""),
        ("null", ""),
    ],
)
def test_words_of_a_refusal(body: str, text: str) -> None:
    """The words are found, whatever is around them."""
    assert read_refusal(body.encode()).text == text
    assert read_refusal(body.encode()).is_page == ("<html" in body)


@given(st.binary() | replies.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_read(body: bytes) -> None:
    """Whatever comes, nothing but words is made of it."""
    assert isinstance(read_refusal(body).text, str)
    for is_unreadable in (True, False):
        found = find_refusal_in_text(body, is_unreadable=is_unreadable)
        assert found is None or isinstance(found.text, str)


@pytest.mark.parametrize(
    "reply",
    [
        {"error": WORDS},
        {"status": "error", "error": WORDS, "results": []},
        {"results": [], "error": {"message": WORDS}},
        {"status": "fail", "message": WORDS},
        {"success": False, "message": WORDS},
        {"error": True, "message": WORDS},
        {"code": 400, "errors": [WORDS]},
    ],
)
def test_refusal_with_status_200(reply: Any) -> None:
    """A refusal is one even if the status is not."""
    found = find_refusal(reply)
    assert found is not None
    assert found.text == WORDS


@pytest.mark.parametrize(
    "reply",
    [
        {},
        [],
        "error",
        None,
        {"results": [], "status": "ok", "error": None},
        {"annotations": [], "error": False},
        {"error": {"count": 3}, "status": {"count": 1}},  # the properties of an event
        {"error": {"count": 3}},
        {"data": {"error": "x"}},
        {"event": "error", "properties": {}, "error": WORDS},
    ],
)
def test_no_refusal(reply: Any) -> None:
    """A report on something called error is none."""
    assert find_refusal(reply) is None


@pytest.mark.parametrize(
    "body",
    [
        b'{"event":"Order","properties":{"error":"x"}}\n',
        b'{"event":"Order","properties":{"err',
        b'{"message":"x"}\n{"event":"Order","properties":{}}\n',
        b'{"foo":"x"}\n',
        b'{"error":',
        b"terminated early",
        b"export Terminated_Early\n",
        b"",
        b"\n",
        b"null",
        b"[1, 2",
        b'{"results":[{"error":"x"},',
        b"\x1f\x8b\x08\x00damaged",
        b"x" * (MAX_BYTES + 1),
    ],
)
def test_what_may_be_cut_off_is_no_refusal(body: bytes) -> None:
    """It is requested again instead."""
    assert find_refusal_in_text(body, is_unreadable=True) is None
