"""What kinds of rows and of values there are.

Pure, and without anything that is slow to import.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from .framing import Row


class JsonType(str, Enum):
    """The JSON types that values are kept apart by, with the names dlt has for them."""

    BOOL = "bool"
    BIGINT = "bigint"
    DOUBLE = "double"
    TEXT = "text"
    JSON = "json"


class Typed(NamedTuple):
    """A property together with the JSON type its values have."""

    name: str
    type: JsonType

    @property
    def field(self) -> str:
        """The name of the decoded column."""
        return f"{self.type.value}:{self.name}"

    @classmethod
    def from_field(cls, name: str) -> Typed | None:
        """The property behind a decoded column, or None if it is one that every row has."""
        kind, colon, name = name.partition(":")
        return cls(name, JsonType(kind)) if colon else None


@dataclass(frozen=True)
class RowKind:
    """Where the parts of a row are: in an event, or in a profile."""

    name_key: str
    """Key of the value beside the properties: the event's name, the profile's id."""
    properties_key: str
    grouped: bool
    """Whether rows of the same name have like properties."""

    def properties(self, row: Row) -> Row:
        """The properties; keys that should not be beside them are taken for properties too."""
        if len(row) == 2 and self.properties_key in row:  # noqa: PLR2004 - the two keys
            properties: Row = row[self.properties_key]
            return properties
        beside = {**row}
        del beside[self.name_key]
        properties = beside.pop(self.properties_key, {})
        return {**beside, **properties}


EVENT = RowKind("event", "properties", grouped=True)
PROFILE = RowKind("$distinct_id", "$properties", grouped=False)
