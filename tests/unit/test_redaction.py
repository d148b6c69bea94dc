"""Nothing that must stay secret, and nothing that a terminal obeys, gets out of a reply."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_source.api.redaction import MAX_QUOTED_CHARACTERS, Redactor
from mixpanel_source.config.build import build_config

USERNAME = "robot.1a2b.mp-service-account"
secrets = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp")),
    min_size=8,
    max_size=40,
)


def redactor(secret: str, **given: Any) -> Redactor:
    """What masks the credentials of a project."""
    return Redactor(
        build_config({"username": USERNAME, "secret": secret, "project_id": 1, **given})
    )


def forms_of(secret: str) -> list[str]:
    """In which forms a server may repeat a secret."""
    pair = f"{USERNAME}:{secret}"
    return [
        secret,
        pair,
        quote(secret, safe=""),
        quote_plus(pair),
        json.dumps(secret)[1:-1],
        json.dumps(pair, ensure_ascii=False)[1:-1],
        base64.b64encode(pair.encode()).decode(),
        base64.b64encode(secret.encode()).decode().rstrip("="),
        base64.b64encode(f"Authorization: {pair}, and more".encode()).decode(),
        f"Authorization: Basic {base64.b64encode(pair.encode()).decode()}",
        f'{{"authorization": "Basic {base64.b64encode(pair.encode()).decode()}"}}',
    ]


@given(secrets, st.data(), st.text(max_size=20), st.text(max_size=20))
def test_no_form_of_the_secret_is_shown(
    secret: str, data: st.DataObject, before: str, after: str
) -> None:
    """Neither in a message nor in what is shown on request, whatever is around it."""
    form = data.draw(st.sampled_from(forms_of(secret)))
    masked = redactor(secret)
    pair = base64.b64encode(f"{USERNAME}:{secret}".encode()).decode()
    for shown in (masked.whole, masked.words):
        text = shown(f"{before} {form} {after}")
        assert secret.lower() not in text.lower() or secret in f"{before} ... {after}"
        assert pair not in text
        assert pair[12:-4] not in text
    body = f"{before} {form} {after}".encode()
    assert form.encode() not in masked.body(body) or '"' in form or "\\" in secret


@given(st.text(), st.lists(st.sampled_from(("\x1b[31m", "\x9b2J", "\r", "\x07", "\u202e", "\0"))))
def test_no_control_character_is_shown(text: str, controls: list[str]) -> None:
    """Escapes of terminals are written out; words stay on one line of bounded length."""
    masked = redactor("hunter2-XyZ")
    dirty = text.join(["", *controls, ""])
    words = masked.words(dirty)
    assert words.isprintable()
    assert len(words) <= MAX_QUOTED_CHARACTERS
    assert all(char.isprintable() or char == "\n" for char in masked.whole(dirty))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Cohort was deleted", "Cohort was deleted"),
        ("the users' plan isn't known", "the users' plan isn't known"),
        ("Invalid value 'Jane Doe' for name", "Invalid value ... for name"),
        (
            'bad row {"event":"Order","properties":{"name":"Jane"}} in line 3',
            "bad row ... in line 3",
        ),
        ('bad row {"event":"Order","properties":{"name":"Ja', "bad row ..."),
        ('one of ["Jane","Joe"] is unknown', "one of ... is unknown"),
        ("jane.doe@example.com is no number", "... is no number"),
        ("no profile for distinct_id 4711-a", "no profile for distinct_id ..."),
        ("distinct_id is required", "distinct_id is required"),
        ('the value \\"Jane\\" is wrong', "the value ... is wrong"),
        ("see https://mixpanel.com/?where=Jane now", "see now"),
    ],
)
def test_what_quotes_a_value_is_hidden(text: str, words: str) -> None:
    """A row, a text in quotation marks and an address may hold a value of a property."""
    assert redactor("hunter2-XyZ").words(text) == words


def test_filters_are_hidden() -> None:
    """Filters are not shown, nor the texts in them, nor what the caller names."""
    where = 'properties["plan"] == "platinum" and user["mail"] == "jane"'
    masked = redactor("hunter2-XyZ", where=where)
    assert masked.words(f"cannot parse {where}") == "cannot parse ..."
    assert masked.words("platinum is unknown in your plan") == "... is unknown in your plan"
    assert masked.words("no report 98765", hidden=["98765"]) == "no report ..."
    assert masked.whole("platinum is unknown") == "platinum is unknown"


@given(st.binary(max_size=40), st.binary(max_size=40), st.integers(1, 7))
def test_secret_in_a_stream(before: bytes, after: bytes, size: int) -> None:
    """A secret that lies on the border of two chunks is masked as well; all else stays."""
    secret = b"hunter2-XyZ-abc"
    masked = redactor(secret.decode())
    body = before + secret + after
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    assert b"".join(masked.stream(chunks)) == masked.body(body) == before + b"..." + after
