"""Generated JSON values, and a reference parser for what Mixpanel serves.

`read_row` shares no code with the package. It is slow, and returns the values that must be read
back from a table, including the documented repairs.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

INT64_END = 2**63
PYTHON_DIGITS = 4_300
"""Python refuses to convert longer digit strings to integers."""
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

HOSTILE_NAMES = (
    *("Plan", "plan", "$plan", "plan name", "planName", "plan_name", "PLAN", "plan ", "plän"),
    *("日本", "日中", "🙂", "🙃", "\u0301", "\u200b", "ß", "ﬁ", "İ", "ı", "é", "e\u0301"),
    *("event", "time", "event_date", "event_key", "time_epoch", "distinct_id", "$distinct_id"),
    *("insert_id", "$insert_id", "properties", "$properties", "other_properties", "name"),
    *("_dlt_id", "_dlt_load_id", "dlt_id", "position", "raw_properties", "property", "Property"),
    *("", " ", "$", "$$", "_", "__", "___x", "x_", "x__", "x__y", "mp", "mp_plan", "$mp_plan"),
    *("price", "price__v_text", "price__v_bigint", "price_v_text", "time__v_text", "bigint:price"),
    *("select", "user", "order", "table", "group", "null", "rowid", "oid", "end", "from"),
    *("ctid", "xmin", "xmax", "cmin", "cmax", "tableoid", "filename", "file_row_number"),
    *("a.b[0]", 'quo"te', "back\\slash", "semi;colon", "%s", "{x}", "'", "line\nbreak", "\u2028"),
    *("123", "1st", "2024-01-01", "2024-01-01T00:00:00Z", "n" * 300, "n" * 299 + "m", "é" * 300),
    *("a" * 53, "a" * 54, "a" * 63, "a" * 64, "Ab" * 30, "true", "12:30"),
)
"""Legal property names, some of which differ only slightly."""

EDGE_NUMBERS: tuple[int | float, ...] = (
    *(0, 1, -1, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)),
    *(0.0, -0.0, 1.0, 0.1, 1.5, 1e15, 1e16, 1e21, 1e22, 5e-324, 1.7976931348623157e308, 2.0**63),
    *(2**63, -(2**63) - 1, 2**64, 10**30 + 1, -(10**30) - 1),
)
EDGE_TEXTS = ("", "1", "true", "null", "1.5", "2026-11-20", "[1]", "{}", '"')


def names() -> st.SearchStrategy[str]:
    """Generate property names."""
    return st.sampled_from(HOSTILE_NAMES) | st.text(max_size=12)


def values() -> st.SearchStrategy[Any]:
    """Generate JSON values of every type, including some that no database can store."""
    # includes lone surrogates and NUL
    texts = st.text(st.characters(exclude_categories=()), max_size=8)
    scalars = st.none() | st.booleans() | st.integers(-(2**66), 2**66) | st.floats() | texts
    scalars |= st.sampled_from(EDGE_NUMBERS) | st.sampled_from(EDGE_TEXTS)
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
        max_leaves=6,
    )


def property_sets() -> st.SearchStrategy[dict[str, Any]]:
    """Generate the properties of a row."""
    return st.dictionaries(names(), values(), max_size=8)


def texts() -> st.SearchStrategy[str]:
    """Text with characters that JSON escapes, and others that are line ends elsewhere."""
    return st.text(
        st.sampled_from('ab"\\{}[],: \t\x00\x01\x0b\x0c\x1c\x85\u2028\u2029\ufeffé日🙂')
        | st.characters(),
        max_size=12,
    )


def to_json(row: Any) -> bytes:
    """A line as Mixpanel writes it, unescaped if possible."""
    try:
        return json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(row).encode()


def to_line(event: str, properties: dict[str, Any]) -> bytes:
    """Return an event as a line of an export, in ASCII."""
    return json.dumps({"event": event, "properties": properties}).encode()


def read_row(line: bytes, *, name_key: str = "event") -> tuple[str, dict[str, Any]]:
    """Return the name in a line, and its properties with the repairs applied."""
    text = line.decode("utf-8", "surrogateescape")
    row = json.loads(text, strict=False, **_LITERALS)
    if UNSTORABLE.search(text) or "\\u" in text:
        row = _without_unstorable(row)
    properties = row["properties" if name_key == "event" else "$properties"]
    return row[name_key], {name: bounded(value) for name, value in properties.items()}


def canonical(value: Any) -> Any:
    """Return a hashable form that is equal for equal values: 1 is 1.0, true is not 1."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "bool", value
    if isinstance(value, list):
        return "list", tuple(map(canonical, value))
    if isinstance(value, dict):
        return "object", frozenset((name, canonical(item)) for name, item in value.items())
    # a database may print 1e300 as an integer of 301 digits, which is not equal to the float
    return Decimal(repr(value)) if isinstance(value, float) and abs(value) >= 1e15 else value


def bounded(value: Any) -> Any:
    """Return an integer beyond 64 bits as text, its repaired form; other values unchanged."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if -INT64_END <= value < INT64_END else str(value)
    return value


def _read_float(literal: str) -> float | str:
    return float(literal) if abs(float(literal)) < float("inf") else literal


def _read_int(literal: str) -> int | str:
    return int(literal) if len(literal) < PYTHON_DIGITS else literal


_LITERALS: Any = {"parse_float": _read_float, "parse_int": _read_int, "parse_constant": str}


def _without_unstorable(value: Any) -> Any:
    if isinstance(value, str):
        return UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_unstorable(item) for item in value]
    if isinstance(value, dict):
        return {
            _without_unstorable(name): _without_unstorable(item) for name, item in value.items()
        }
    return value
