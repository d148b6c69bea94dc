"""Which rows are the same row: the key of an event, the key of a profile, and what is twice.

Mixpanel does not de-duplicate a raw export. Its own rule, which we follow, is that two events are
one when event name, `distinct_id`, `$insert_id` and calendar day agree; the one processed last is
the one to keep. `distinct_id` may be rewritten after users are merged, so the key takes the id that
the event was sent with. An event without `$insert_id` has no identity but its content; if several
are alike they are all kept, and told apart by number.

Source: https://developer.mixpanel.com/reference/event-deduplication (read 2026-11-21).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import msgspec
import numpy as np
import pendulum

from ..windows import Window
from .json_values import DIGEST_BYTES, INT64_END, content_digest, repair_row
from .value_types import EVENT, PROFILE, RowKind

if TYPE_CHECKING:
    from .scan.keys import Keys
    from .scan.tape import Tape

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

_IDENTIFYING = (
    "time",
    "$distinct_id_before_identity",
    "$preshuffle_distinct_id",
    "distinct_id",
    "$insert_id",
    "mp_processing_time_ms",
)


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


class Identities(NamedTuple):
    """What tells the rows of a block from others, one entry a row; see `Identity`."""

    keys: Any
    """uint8, `KEY_BYTES` a row."""
    numbered: Any
    """bool."""
    days: Any
    """int32."""
    ranks: Any
    """int64."""

    @classmethod
    def empty(cls, rows: int) -> Identities:
        """Room for the identities of `rows` rows."""
        return cls(
            np.zeros((rows, KEY_BYTES), np.uint8),
            np.zeros(rows, np.bool_),
            np.zeros(rows, np.int32),
            np.zeros(rows, np.int64),
        )

    def put(self, row: int, identity: Identity) -> None:
        """Put in the identity of a row."""
        self.keys[row] = np.frombuffer(identity.key, np.uint8)
        self.numbered[row], self.days[row], self.ranks[row] = identity[1:]


class Identify(Protocol):
    """Identifies the rows of one kind."""

    kind: RowKind

    def of_line(self, line: bytes) -> Identity:
        """The identity of a row.

        Raises:
            ValueError: if the line is no row of the kind.
        """

    def of_tape(self, tape: Tape) -> Keys:
        """What can be told of the rows of a tape without looking at each."""


class EventIdentifier:
    """Identifies the events of a window."""

    kind = EVENT

    def __init__(self, window: Window) -> None:
        """Identify what an export of `window` holds."""
        self._decode = msgspec.json.Decoder(_Event).decode
        self._first, self._last = (day.toordinal() - EPOCH_ORDINAL for day in window)

    def of_line(self, line: bytes) -> Identity:
        """See `Identify`."""
        event = _read(line, self._decode, _Event)
        row = event.properties
        own_day = event_day(row.time)
        sent_id = first_given(row.sent_id, row.preshuffle_id, row.distinct_id)
        numbered = row.insert_id in (None, "")
        content = (
            _content(line, sent_id) if numbered else [event.event, row.insert_id, sent_id, own_day]
        )
        return Identity(
            content_digest(content), numbered, self._day(own_day), _as_rank(row.processed_ms)
        )

    def of_tape(self, tape: Tape) -> Keys:
        """See `Identify`."""
        from .scan.keys import event_keys  # noqa: PLC0415 - half a second, which small blocks do without

        keys = event_keys(tape, _IDENTIFYING, ms_from=MS_FROM)
        outside = (keys.days < self._first) | (keys.days > self._last)
        keys.days[outside] = self._first
        return keys

    def _day(self, own_day: int | None) -> int:
        # a day outside the window would replace a day that was not asked for
        if own_day is None or not self._first <= own_day <= self._last:
            return self._first
        return own_day


class ProfileIdentifier:
    """Identifies the profiles of a dump; the profile seen last is kept."""

    kind = PROFILE

    def __init__(self) -> None:
        """Identify profiles."""
        self._decode = msgspec.json.Decoder(_Profile).decode

    def of_line(self, line: bytes) -> Identity:
        """See `Identify`."""
        distinct_id: object = _read(line, self._decode, _Profile).distinct_id
        if isinstance(distinct_id, float):  # maybe an integer that only looks like one
            distinct_id = repair_row(line, Counter())["$distinct_id"]
        return Identity(content_digest([str(distinct_id)]), False, 0, 0)

    def of_tape(self, tape: Tape) -> Keys:
        """See `Identify`."""
        from .scan.keys import profile_keys  # noqa: PLC0415 - half a second

        return profile_keys(tape)


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
    """The first of one or more values that is neither None nor empty; the last if none is."""
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
        raise ValueError("a row of another shape") from error


def _content(line: bytes, sent_id: object) -> list[object]:
    row = repair_row(line, Counter())
    properties = {name: value for name, value in row["properties"].items() if name not in _VOLATILE}
    return [row["event"], sent_id, properties]


def _as_rank(processed_ms: object) -> int:
    if isinstance(processed_ms, (int, float)):
        return max(0, min(int(processed_ms), INT64_END - 1))
    return 0
