"""The kinds of rows, and the types of their values.

Pure, and imports nothing that is slow to load.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

Row = dict[str, Any]
"""A JSON object."""


class JsonType(str, Enum):
    """The JSON types whose values are kept apart, with dlt's names for them."""

    BOOL = "bool"
    BIGINT = "bigint"
    DOUBLE = "double"
    TEXT = "text"
    JSON = "json"
    """Lists and objects, as JSON text."""


class Typed(NamedTuple):
    """A property restricted to its values of one JSON type; these become one array."""

    name: str
    type: JsonType


@dataclass(frozen=True)
class RowKind:
    """The keys of a row: of an event or of a profile."""

    name_key: str
    """Key of the value beside the properties: the event's name, the profile's id."""
    properties_key: str
    grouped: bool
    """Whether rows with the same name have similar properties."""

    def properties(self, row: Row) -> Row:
        """The properties, including unexpected keys beside them."""
        if len(row) == 2 and self.properties_key in row:  # noqa: PLR2004 - the two keys
            properties: Row = row[self.properties_key]
            return properties
        beside = {**row}
        del beside[self.name_key]
        properties = beside.pop(self.properties_key, {})
        return {**beside, **properties}


EVENT = RowKind("event", "properties", grouped=True)
PROFILE = RowKind("$distinct_id", "$properties", grouped=False)
