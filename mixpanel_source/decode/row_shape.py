"""Which rows have the shape of an event, of a profile or of an entry of a list.

Pure. A row that is whole JSON but has another shape is *rejected*: it is set aside as it came, and
blocks nothing. An error is only what may have been cut short, because a retry may complete it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..errors import TruncatedError
from .forgotten import PERSON_PROPERTIES
from .framing import describe_bad_line, is_message
from .json_values import is_whole_json, nesting, repair_value
from .value_types import EVENT, RowKind

MAX_DEPTH = 350
"""Maximum lists and objects inside each other. Python allows about 1,000 calls inside each other,
and decodes each level of such a row with two."""
TOO_DEEP = "nested too deeply"
NOT_AN_OBJECT = "not an object"

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


def is_too_deep(line: bytes) -> bool:
    """Whether a row has more levels than `MAX_DEPTH`."""
    if sum(map(line.count, (b"[", b"{"))) <= MAX_DEPTH:
        return False
    return (nesting(line) or 0) > MAX_DEPTH


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
    return RejectedRow(_problem(value, kind), value)


def _problem(value: Any, kind: RowKind) -> str:  # noqa: ANN401 - any JSON value
    if not isinstance(value, dict):
        return NOT_AN_OBJECT
    name, properties = kind.name_key, kind.properties_key
    if name not in value:
        return f"no {name}"
    if properties not in value and kind is EVENT:
        return f"no {properties}"
    if not isinstance(value.get(properties, {}), dict):
        return f"{properties} is not an object"
    return f"{name} is not text" if kind is EVENT else f"{name} is neither text nor a number"


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
