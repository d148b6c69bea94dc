"""Finds what Mixpanel, or a proxy, says in a reply that is a refusal, whatever its form.

Pure. Mixpanel documents `{"error": "text"}`, and answers in a dozen other ways, with any status,
200 included; a proxy answers with a page.

Source: https://developer.mixpanel.com/reference/overview, and replies that were observed.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from ..decode.json_values import load_json

MAX_BYTES = 16 * 1024
"""Bytes of a reply that are searched; a reply that is longer is none that consists of a refusal."""
MAX_TEXTS = 5
MAX_DEPTH = 4
_SAYING = (
    *("error", "errors", "message", "msg", "detail", "details", "description", "reason"),
    *("error_message", "errorMessage", "error_description", "title"),
)
"""Keys that hold words, the most telling first."""
_ENVELOPE = {*_SAYING, "status", "code", "type", "request", "loc", "success", "ok"}
"""Keys of an object that consists of a refusal."""
_FAILED = ("error", "fail", "failed", "failure", "forbidden", "unauthorized", "invalid")
_CUT_TEXT = re.compile(
    r'"(?:error|errors|message|msg|detail|details|reason)"\s*:\s*[\[{]?\s*'
    r'(?:"(?:message|msg|detail|error|text)"\s*:\s*)?"((?:[^"\\]|\\.)*)'
)
_CUT_START = re.compile(
    r'\s*\[?\s*\{\s*"(?:error|errors|message|msg|detail|status|code|request)"\s*:'
)
_IS_PAGE = re.compile(
    r"\s*(<!--.*?-->\s*)*<(!doctype\s+html|html|head|body|title|h1)\b", re.I | re.S
)
_HEADING = re.compile(r"<(title|h1|h2)[^>]*>(.*?)</\1", re.I | re.S)
_TAG = re.compile(r"<[^>]*>")
_ROW_START = re.compile(r'\s*\{\s*"(event|\$distinct_id|properties)"')
_PLAIN = re.compile(r"[^\W\d_]")
"""Prose begins with a letter; JSON other than its three words does not."""
_JSON_WORD = re.compile(r"(true|false|null|nan|infinity)\s*$", re.I)
_CUT_OFF = re.compile(r"terminated[\W_]*early", re.I)


class Refusal(NamedTuple):
    """What a reply says that is a refusal."""

    text: str
    """As it came, of any length; empty if nothing legible came."""
    is_page: bool = False
    """Whether it is an HTML page, which Mixpanel's API does not send."""


def read_refusal(body: bytes) -> Refusal:
    """What the body of a reply says whose status is that of a refusal."""
    text = _decode(body)
    if _IS_PAGE.match(text):
        return _read_page(text)
    try:
        value = load_json(text)
    except ValueError:
        return Refusal(_cut_words(text) or _TAG.sub(" ", text).strip())
    return Refusal(_join(_texts(value)))


def find_refusal(value: object) -> Refusal | None:
    """The refusal that the JSON value of a reply with status 200 is, or holds; None if it is none.

    Only what no other reply looks like: `error` with words, or a `status` that tells. A report may
    have a key `error` too, but numbers below it.
    """
    if not isinstance(value, dict) or value.keys() >= {"event", "properties"}:
        return None
    words = _join(_texts({key: value.get(key) for key in ("error", "errors")}))
    status = value.get("status")
    if isinstance(status, str) and status.strip().lower() in _FAILED:
        return Refusal(_join(_texts(value)) or f"status: {status}")
    has_failed = value.get("error") is True or value.get("success") is False
    if has_failed or (_is_nothing_else(value) and not words):
        return Refusal(_join(_texts(value)))
    return Refusal(words) if words else None


def find_refusal_in_list(rows: object) -> Refusal | None:
    """The refusal that a list consists of, instead of rows; None if it is none."""
    if not isinstance(rows, list) or not rows:
        return None
    is_refusal = all(isinstance(item, dict) and _is_nothing_else(item) for item in rows)
    return Refusal(_join(_texts(rows))) if is_refusal else None


def find_refusal_in_text(body: bytes, *, is_unreadable: bool) -> Refusal | None:
    """The refusal that a body with status 200 consists of.

    Args:
        body: all of it.
        is_unreadable: whether it cannot be read as what was requested, so anything that it says is
            a refusal.

    Returns:
        None if it may be a part of what was requested.
    """
    if len(body) > MAX_BYTES:
        return None
    text = _decode(body)
    try:
        value = load_json(text)
    except ValueError:
        return _find_in_cut(text) if is_unreadable else None
    found = find_refusal(value) or find_refusal_in_list(value)
    if found or not is_unreadable:
        return found
    if isinstance(value, str):
        return None if _CUT_OFF.search(value) else Refusal(value)
    words = _join(_texts(value)) if isinstance(value, dict) and not _ROW_START.match(text) else ""
    return Refusal(words) if words else None


def _find_in_cut(text: str) -> Refusal | None:
    if _IS_PAGE.match(text):
        return _read_page(text)
    if any(line.startswith("{") for line in text.strip().splitlines()[1:]):
        # rows, of which the first one is odd
        return None
    if _CUT_START.match(text):
        words = _cut_words(text)
        return Refusal(words) if words else None
    first = text.lstrip()[:1]
    if not _PLAIN.match(first) or _JSON_WORD.match(text.strip()) or _CUT_OFF.search(text):
        return None
    # what is not text at all is a damaged reply
    return Refusal(text.strip()) if "\ufffd" not in text and "\x00" not in text else None


def _decode(body: bytes) -> str:
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if body.startswith(mark):
            return body.decode(encoding, "replace")
    return body.decode("utf-8-sig", "replace")


def _read_page(text: str) -> Refusal:
    headings = (html.unescape(_TAG.sub(" ", found[2])) for found in _HEADING.finditer(text))
    title = next((" ".join(heading.split()) for heading in headings if heading.strip()), "")
    return Refusal(f"an HTML page: {title}" if title else "an HTML page", is_page=True)


def _cut_words(text: str) -> str:
    """The words of an object that is cut off."""
    found = _CUT_TEXT.search(text)
    if found is None:
        return ""
    words = found[1]
    for end in range(len(words), max(-1, len(words) - 7), -1):
        try:
            read: Any = orjson.loads(f'"{words[:end]}"')
        except orjson.JSONDecodeError:
            continue
        return str(read)
    return words


def _texts(value: object, depth: int = 0) -> Iterator[str]:
    """The words in a value, the most telling first."""
    if isinstance(value, str) and value.strip():
        yield value.strip()
    elif depth > MAX_DEPTH:
        return
    elif isinstance(value, list):
        for item in value[:MAX_TEXTS]:
            yield from _texts(item, depth + 1)
    elif isinstance(value, dict):
        saying = [key for key in _SAYING if value.get(key) not in (None, "", [], {})]
        for key in saying:
            yield from _texts(value[key], depth + 1)
        if not saying and depth:
            # such as {"from_date": ["is malformed"]}
            for key, inner in [*value.items()][:MAX_TEXTS]:
                yield from (f"{key}: {text}" for text in _texts(inner, depth + 1))


def _join(texts: Iterator[str]) -> str:
    found: list[str] = []
    for text in texts:
        if text not in found:
            found.append(text)
        if len(found) == MAX_TEXTS:
            break
    return ": ".join(found)


def _is_nothing_else(value: dict[str, Any]) -> bool:
    """Whether an object is nothing but the envelope of a refusal."""
    says = any(value.get(key) not in (None, "", [], {}, False, 0) for key in ("error", "errors"))
    return says and value.keys() <= _ENVELOPE and not _is_numbers(value.get("error"))


def _is_numbers(value: object) -> bool:
    """Whether a value holds numbers and no words, as below the name of a property."""
    return isinstance(value, dict) and not any(True for _ in _texts(value))
