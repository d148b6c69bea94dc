"""What identifies a row: the key of an event, and the key of a profile.

Pure. Mixpanel does not de-duplicate a raw export. Its own rule, followed here, is that two events
are the same if event name, `distinct_id`, `$insert_id` and calendar day agree, and that the one
processed last is kept. `distinct_id` may be rewritten when users are merged, so the key takes the
id that the event was sent with. An event without `$insert_id` is identified by its content; equal
ones are all kept, and numbered.

Source: https://developer.mixpanel.com/reference/event-deduplication (read 2026-11-21).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..event_time import FIRST_DAY, LAST_DAY, MS_FROM, NO_DAY, event_day
from ..json_values import DIGEST_BYTES, INT64_END, content_digest, repair_row
from ..value_types import EVENT, PROFILE, RowKind

if TYPE_CHECKING:
    from ..scan.keys import RowKeys
    from ..scan.tape import Tape

T = TypeVar("T")

KEY_BYTES = DIGEST_BYTES

VOLATILE = (
    "distinct_id",
    "mp_processing_time_ms",
    "$distinct_id_before_identity",
    "$is_reshuffled",
    "$preshuffle_distinct_id",
)
"""Properties that change when an event is processed again or its user is merged.

Source: https://docs.mixpanel.com/docs/data-structure/property-reference/reserved-properties.
"""

_IDENTIFYING = (
    "time",
    "$distinct_id_before_identity",
    "$preshuffle_distinct_id",
    "distinct_id",
    "$insert_id",
    "mp_processing_time_ms",
)
"""The properties of an identity, in the order that `scan.keys.event_keys` expects."""


class _EventProperties(msgspec.Struct):
    time: Any = None
    distinct_id: Any = None
    insert_id: Any = msgspec.field(default=None, name="$insert_id")
    sent_id: Any = msgspec.field(default=None, name="$distinct_id_before_identity")
    preshuffle_id: Any = msgspec.field(default=None, name="$preshuffle_distinct_id")
    processed_ms: Any = msgspec.field(default=None, name="mp_processing_time_ms")


class _Event(msgspec.Struct):
    event: str
    properties: _EventProperties


class _NoProperties(msgspec.Struct):
    pass


class _Profile(msgspec.Struct):
    distinct_id: str | int | float = msgspec.field(name="$distinct_id")
    properties: _NoProperties = msgspec.field(name="$properties", default_factory=_NoProperties)


class Identity(NamedTuple):
    """What identifies one row."""

    key: bytes
    """`KEY_BYTES` bytes; equal for equal rows."""
    numbered: bool
    """Whether rows with the same key are all kept, and numbered."""
    day: int
    """The day of the row's own time, in days since 1970-01-01, see `EventIdentifier`; 0 for
    profiles."""
    rank: int
    """Of rows with the same key, the one with the greatest rank is kept: for events the time of
    processing, in milliseconds since the epoch."""
    rejected: bool = False
    """Whether the row is set aside because of its shape; its key means nothing then."""


class Identities(NamedTuple):
    """What identifies the rows of a block, in their order; see `Identity`."""

    keys: NDArray[np.uint8]
    """Shape (rows, `KEY_BYTES`)."""
    numbered: NDArray[np.bool_]
    days: NDArray[np.int32]
    ranks: NDArray[np.int64]
    rejected: NDArray[np.bool_]

    @classmethod
    def empty(cls, rows: int) -> Identities:
        """Arrays of zeros for `rows` rows."""
        return cls(
            np.zeros((rows, KEY_BYTES), np.uint8),
            np.zeros(rows, np.bool_),
            np.zeros(rows, np.int32),
            np.zeros(rows, np.int64),
            np.zeros(rows, np.bool_),
        )

    def put(self, row: int, identity: Identity) -> None:
        """Set the identity of a row."""
        self.keys[row] = np.frombuffer(identity.key, np.uint8)
        self.numbered[row], self.days[row], self.ranks[row], self.rejected[row] = identity[1:]


class RowIdentifier(Protocol):
    """Identifies rows of one kind."""

    kind: RowKind

    def of_line(self, line: bytes) -> Identity:
        """The identity of a row.

        Raises:
            ValueError: the line is not a row of this kind.
        """

    def of_rejected(self, value: object, /) -> Identity:
        """The identity of a row that is JSON of another shape.

        Args:
            value: see `row_shape.RejectedRow`.
        """

    def of_tape(self, tape: Tape) -> RowKeys:
        """The identities of the rows on a tape, as far as compiled code can tell them."""


class EventIdentifier:
    """Identifies the events of a window.

    The day of an event is that of its `time` in UTC, whatever window it came with, within the years
    1 to 9999; `NO_DAY` without a `time`.
    """

    kind = EVENT

    def __init__(self) -> None:
        """Identify events."""
        self._decode = msgspec.json.Decoder(_Event).decode

    def of_line(self, line: bytes) -> Identity:
        """See `RowIdentifier`."""
        event = _read(line, self._decode, _Event)
        row = event.properties
        own_day = event_day(row.time)
        sent_id = first_given(row.sent_id, row.preshuffle_id, row.distinct_id)
        numbered = row.insert_id in (None, "")
        content = (
            _content(line, sent_id) if numbered else [event.event, row.insert_id, sent_id, own_day]
        )
        return Identity(
            content_digest(content), numbered, _bounded(own_day), _as_rank(row.processed_ms)
        )

    def of_rejected(self, value: object, /) -> Identity:
        """See `RowIdentifier`."""
        properties = value.get(EVENT.properties_key) if isinstance(value, dict) else None
        time = properties.get("time") if isinstance(properties, dict) else None
        return Identity(bytes(KEY_BYTES), False, _bounded(event_day(time)), 0, rejected=True)

    def of_tape(self, tape: Tape) -> RowKeys:
        """See `RowIdentifier`."""
        from ..scan.keys import event_keys  # noqa: PLC0415 - slow to load, and only for big blocks

        keys = event_keys(tape, _IDENTIFYING, ms_from=MS_FROM)
        np.clip(keys.days, FIRST_DAY, LAST_DAY, out=keys.days)
        return keys


class ProfileIdentifier:
    """Identifies the profiles of a dump by their ids; the last profile with an id is kept."""

    kind = PROFILE

    def __init__(self) -> None:
        """Identify profiles."""
        self._decode = msgspec.json.Decoder(_Profile).decode

    def of_line(self, line: bytes) -> Identity:
        """See `RowIdentifier`."""
        distinct_id: object = _read(line, self._decode, _Profile).distinct_id
        if isinstance(distinct_id, float):  # perhaps an integer that does not fit in 64 bits
            distinct_id = repair_row(line, Counter())["$distinct_id"]
        return Identity(content_digest([str(distinct_id)]), False, 0, 0)

    def of_rejected(self, _value: object, /) -> Identity:
        """See `RowIdentifier`."""
        return Identity(bytes(KEY_BYTES), False, 0, 0, rejected=True)

    def of_tape(self, tape: Tape) -> RowKeys:
        """See `RowIdentifier`."""
        from ..scan.keys import profile_keys  # noqa: PLC0415 - slow to load, and only for big blocks

        return profile_keys(tape)


def first_given(*values: object) -> object:
    """The first value that is neither None nor empty text; the last value if all are."""
    for value in values:
        if value is not None and value != "":
            break
    return value


def _read(line: bytes, decode: Callable[[bytes], T], kind: type[T]) -> T:
    try:
        return decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return msgspec.convert(repair_row(line, Counter()), kind)
    except msgspec.ValidationError as error:
        raise ValueError("not a row of this kind") from error


def _content(line: bytes, sent_id: object) -> list[object]:
    row = repair_row(line, Counter())
    properties = {name: value for name, value in row["properties"].items() if name not in VOLATILE}
    return [row["event"], sent_id, properties]


def _bounded(own_day: int | None) -> int:
    return NO_DAY if own_day is None else max(FIRST_DAY, min(own_day, LAST_DAY))


def _as_rank(processed_ms: object) -> int:
    if isinstance(processed_ms, (int, float)):
        return max(0, min(int(processed_ms), INT64_END - 1))
    return 0
