"""Which rows are the same row: the key of an event, the key of a profile, and what is twice.

Mixpanel does not de-duplicate a raw export. Its own rule, which we follow, is that two events are
one when event name, `distinct_id`, `$insert_id` and calendar day agree; the one processed last is
the one to keep. `distinct_id` may be rewritten after users are merged, so the key takes the id that
the event was sent with. An event without `$insert_id` has no identity but its content; if several
are alike they are all kept, and told apart by number.

Source: https://developer.mixpanel.com/reference/event-deduplication (read 2026-11-21).
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, NamedTuple, TypeVar

import msgspec
import pendulum
import pyarrow as pa
import pyarrow.compute as pc

from .lines import DIGEST_BYTES, INT64_END, content_digest, repair_row
from .windows import Window

T = TypeVar("T")

KEY_BYTES = DIGEST_BYTES
EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
MS_FROM = 30_000_000_000
"""A `time` of this much is milliseconds: as seconds it would lie in the year 2920."""

_VOLATILE = (
    "distinct_id",
    "mp_processing_time_ms",
    "$distinct_id_before_identity",
    "$is_reshuffled",
    "$preshuffle_distinct_id",
)
"""Properties that change when an event is processed again or its user is merged.

Source: https://docs.mixpanel.com/docs/data-structure/property-reference/reserved-properties.
"""


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
    """What tells one row from another."""

    key: bytes
    """`KEY_BYTES` bytes; equal for equal rows."""
    numbered: bool
    """Whether rows of the same key are all kept, told apart by number."""
    day: int
    """Days since 1970-01-01 of the day the row is filed under; 0 for profiles."""
    rank: int
    """Of rows with the same key the one with the greatest rank is kept."""


Identify = Callable[[bytes], Identity]


def event_identifier(window: Window) -> Identify:
    """A function that identifies the lines of an export of `window`.

    It raises ValueError for a line that is no event.
    """
    decode_event = msgspec.json.Decoder(_Event).decode
    first, last = (day.toordinal() - EPOCH_ORDINAL for day in window)

    def identify(line: bytes) -> Identity:
        event = _read(line, decode_event, _Event)
        row = event.properties
        own_day = event_day(row.time)
        # a day outside the window would replace a day that was not asked for
        day = own_day if own_day is not None and first <= own_day <= last else first
        sent_id = first_given(row.sent_id, row.preshuffle_id, row.distinct_id)
        if row.insert_id in (None, ""):
            return Identity(_content_key(line, sent_id), True, day, _as_rank(row.processed_ms))
        key = content_digest([event.event, row.insert_id, sent_id, own_day])
        return Identity(key, False, day, _as_rank(row.processed_ms))

    return identify


def profile_identifier() -> Identify:
    """A function that identifies the lines of a profile dump; the profile seen last is kept.

    It raises ValueError for a line that is no profile.
    """
    decode_profile = msgspec.json.Decoder(_Profile).decode
    position = 0

    def identify(line: bytes) -> Identity:
        nonlocal position
        position += 1
        distinct_id: object = _read(line, decode_profile, _Profile).distinct_id
        if isinstance(distinct_id, float):  # maybe an integer that only looks like one
            distinct_id = repair_row(line, Counter())["$distinct_id"]
        return Identity(content_digest([str(distinct_id)]), False, 0, position)

    return identify


def event_day(time: object) -> int | None:
    """Days since 1970-01-01 of a raw `time`, or None if it is no time.

    Args:
        time: seconds or milliseconds since the epoch, or ISO 8601 text, which some projects serve.
    """
    if isinstance(time, str):
        moment = parse_moment(time)
        return None if moment is None else moment.toordinal() - EPOCH_ORDINAL
    if isinstance(time, bool) or not isinstance(time, (int, float)):
        return None
    if abs(time) >= INT64_END:
        return None
    seconds = time / 1000 if abs(time) >= MS_FROM else time
    return int(seconds // 86_400)


def parse_moment(text: str) -> datetime | None:
    """An instant from ISO 8601 text, in UTC but without saying so; None if it is no such text."""
    stripped = text.strip()
    if not stripped[:1].isdigit():  # pendulum reads durations too, and "now"
        return None
    try:
        moment = pendulum.parse(stripped, exact=True)
        if isinstance(moment, pendulum.DateTime):
            return moment.in_timezone("UTC").naive()
    except (ValueError, TypeError, OverflowError):  # the last two for odd intervals and years
        return None
    if isinstance(moment, pendulum.Date):
        return datetime(moment.year, moment.month, moment.day)  # noqa: DTZ001 - as documented
    return None


def first_given(*values: object) -> object:
    """The first value that is neither None nor empty; the last one if there is none."""
    return next((value for value in values if value not in (None, "")), values[-1])


def _read(line: bytes, decode: Callable[[bytes], T], kind: type[T]) -> T:
    try:
        return decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return msgspec.convert(repair_row(line, Counter()), kind)
    except msgspec.ValidationError as error:
        raise ValueError("a row of another shape") from error


def _content_key(line: bytes, sent_id: object) -> bytes:
    row = repair_row(line, Counter())
    properties = {name: value for name, value in row["properties"].items() if name not in _VOLATILE}
    return content_digest([row["event"], sent_id, properties])


def _as_rank(processed_ms: object) -> int:
    if not isinstance(processed_ms, (int, float)):
        return 0
    return max(0, min(int(processed_ms), INT64_END - 1))


@dataclass
class Index:
    """The identities of a window's rows in the order of its lines, about 30 bytes a row."""

    keys: bytearray = field(default_factory=bytearray)
    days: array[int] = field(default_factory=lambda: array("i"))
    _ranks: array[int] = field(default_factory=lambda: array("q"))
    _numbered: array[int] = field(default_factory=lambda: array("b"))
    dropped: frozenset[int] = frozenset()
    """Positions of the rows that are there again, and go."""

    def __len__(self) -> int:
        """How many rows, those to be dropped included."""
        return len(self.days)

    def add(self, identity: Identity) -> None:
        """Append a row."""
        self.keys += identity.key
        self.days.append(identity.day)
        self._ranks.append(identity.rank)
        self._numbered.append(identity.numbered)

    def settle(self) -> None:
        """Find what is there more than once: list the rows to drop, number the rows to keep."""
        keys = self._key_array()
        if pc.count_distinct(keys).as_py() == len(keys):
            return
        rows = pa.table({"key": keys, "rank": pa.array(self._ranks)})
        # stable: of rows of equal rank the last line is the last here
        positions = pc.sort_indices(rows, sort_keys=[(n, "ascending") for n in rows.column_names])
        rows = rows.take(positions)
        # row i + 1 repeats row i, and outranks it
        repeats = pc.equal(rows["key"][1:], rows["key"][:-1])
        dropped: list[int] = []
        number, numbered_row = 0, -1
        for row in pc.indices_nonzero(repeats).to_pylist():
            position = positions[row + 1].as_py()
            if not self._numbered[position]:
                dropped.append(positions[row].as_py())
                continue
            number = number + 1 if row == numbered_row else 1
            numbered_row = row + 1
            self._number(position, number, key=rows["key"][row].as_py())
        self.dropped = frozenset(dropped)

    def hex_keys(self, positions: pa.Array) -> pa.Array:
        """The keys of the rows at `positions` as hexadecimal text."""
        keys = self._key_array().take(positions)
        start, width = keys.offset * KEY_BYTES, 2 * KEY_BYTES
        text = keys.buffers()[1].to_pybytes()[start : start + len(keys) * KEY_BYTES].hex()
        offsets = array("i", range(0, len(text) + 1, width))
        return pa.StringArray.from_buffers(
            len(keys), pa.py_buffer(offsets.tobytes()), pa.py_buffer(text.encode())
        )

    def date_array(self, positions: pa.Array) -> pa.Array:
        """The days of the rows at `positions` as dates."""
        days = pa.Array.from_buffers(pa.int32(), len(self), [None, pa.py_buffer(self.days)])
        return days.take(positions).cast(pa.date32())

    def _number(self, position: int, number: int, *, key: bytes) -> None:
        start = position * KEY_BYTES
        self.keys[start : start + KEY_BYTES] = content_digest([key.hex(), number])

    def _key_array(self) -> pa.Array:
        return pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(KEY_BYTES), len(self.days), [None, pa.py_buffer(self.keys)]
        )
