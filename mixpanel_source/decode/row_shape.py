"""Which rows have the shape of an event, of a profile or of an entry of a list.

Pure. A row that is whole JSON but has another shape is *rejected*: it is set aside as it came, and
blocks nothing. An error is only what may have been cut short, because a retry may complete it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from ..errors import TruncatedError
from .forgotten import PERSON_PROPERTIES
from .framing import describe_bad_line, is_message
from .json_values import INT64_END, is_too_deep, is_whole_json, repair_value
from .value_types import EVENT, Row, RowKind

TOO_DEEP = "nested too deeply"
NOT_AN_OBJECT = "not an object"
NOT_A_LIST = "not a list"

_MAX_SECONDS = 2**53
"""A number of seconds from here on is refused by the functions that make a timestamp of it."""
_INTEGER = re.compile(r"\s*[+-]?[0-9]+\s*")

_ID = re.compile(rf'"({"|".join(map(re.escape, PERSON_PROPERTIES))})"\s*:\s*"([^"\\]*)"'.encode())


class RejectedRow(NamedTuple):
    """A row that does not have the expected shape."""

    reason: str
    """Names keys, never values."""
    value: object
    """What the row was read as, repaired; of a row that is nested too deeply only the ids."""

    @property
    def person_ids(self) -> list[str]:
        """The ids of persons anywhere in the row, each once, in the order of their properties."""
        found = sorted(_iter_ids(self.value), key=lambda pair: PERSON_PROPERTIES.index(pair[0]))
        return [*dict.fromkeys(id_ for _, id_ in found if id_)]


def reject_line(line: bytes, kind: RowKind) -> RejectedRow:
    """Reject a line that is not a row of a kind.

    Raises:
        TruncatedError: the line may have been cut short, or is a message about the reply.
    """
    if is_too_deep(line) and is_whole_json(line):
        ids = [{key.decode(): id_.decode(errors="replace")} for key, id_ in _ID.findall(line)]
        return RejectedRow(TOO_DEEP, ids)
    try:
        value = repair_value(line, Counter())
    except ValueError as error:
        raise TruncatedError(describe_bad_line(line)) from error
    if kind is EVENT and is_message(line, value):
        raise TruncatedError(describe_bad_line(line))
    return RejectedRow(find_problem(value, kind) or "not readable", value)


def find_problem(value: Any, kind: RowKind) -> str | None:  # noqa: ANN401 - any JSON value
    """Why a value is not a row of a kind; None if it is."""
    if not isinstance(value, dict):
        return NOT_AN_OBJECT
    name, properties = kind.name_key, kind.properties_key
    missing = [key for key in (name, properties) if key not in value]
    # a profile may have no properties
    if missing and (kind is EVENT or name in missing):
        return f"no {missing[0]}"
    if not isinstance(value.get(properties, {}), dict):
        return f"{properties} is not an object"
    if kind is EVENT:
        return None if isinstance(value[name], str) else f"{name} is not text"
    if isinstance(value[name], (str, int, float)) and not isinstance(value[name], bool):
        return None
    return f"{name} is neither text nor a number"


def find_entry_problem(entry: object, columns: Mapping[str, str]) -> str | None:
    """Why an entry of a list is rejected; None if it is not.

    Other values of another type than their column are no reason: they get a variant column.

    Args:
        entry: any JSON value.
        columns: name -> dlt's type; the first column is never null.
    """
    if not isinstance(entry, dict):
        return NOT_AN_OBJECT
    if not all(map(str.strip, entry)):
        return "a key is empty"
    for name, value in entry.items():
        if not _fits(value, columns.get(name)):
            return f"{name} is out of range" if name in columns else "a number is out of range"
    return _find_key_problem(entry, *next(iter(columns.items())))


def _find_key_problem(entry: Row, key: str, column_type: str) -> str | None:
    value = entry.get(key)
    if value is None:
        return f"no {key}"
    if column_type == "bigint" and not _is_integer(value):
        return f"{key} is not a whole number"
    if column_type == "text" and not isinstance(value, str):
        return f"{key} is not text"
    return None


def _fits(value: object, column_type: str | None) -> bool:
    """Whether dlt can convert a number to the type of its column, or to one of a variant column."""
    if column_type == "bigint" and isinstance(value, str) and _INTEGER.fullmatch(value):
        with suppress(ValueError):  # Python limits the digits it converts
            return -INT64_END <= int(value) < INT64_END
        return False
    if not isinstance(value, (int, float)):
        return True
    end = _MAX_SECONDS if column_type == "timestamp" else INT64_END
    return -end <= value < end


def _is_integer(value: object) -> bool:
    if isinstance(value, str):
        return _INTEGER.fullmatch(value) is not None
    if isinstance(value, float):
        return value.is_integer()
    return isinstance(value, int) and not isinstance(value, bool)


def _iter_ids(value: object) -> Iterator[tuple[str, str]]:
    """Yields property and id of each id of a person, at any depth."""
    if isinstance(value, list):
        for item in value:
            yield from _iter_ids(item)
    if isinstance(value, dict):
        for key, item in value.items():
            if key in PERSON_PROPERTIES and isinstance(item, (str, int, float)):
                yield key, _id_text(item)
            else:
                yield from _iter_ids(item)


def _id_text(value: str | float) -> str:
    # 42.0 is the id 42
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
