"""Events, as they are sent to /import.

Pure. The text of values is kept as it came, so numbers of any length and repeated keys inside
objects arrive as they are in the input.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
import orjson

from mixpanel_source.decode.event_time import EPOCH_ORDINAL, MS_FROM, event_day, parse_moment
from mixpanel_source.decode.index.identity import VOLATILE, first_given
from mixpanel_source.decode.json_values import compact_json, content_digest, dump_json, repair_row

from .. import constants
from .checks import SECONDS_PER_DAY, Period, find_problem, find_unusual
from .insert_ids import InsertIds
from .properties import ADDED, ARRIVAL, treatment
from .staged import Staged

HOT_SHARD = "$hotshard_events"
"""Name that Mixpanel gives to the events of an id that has too many a day."""
NO_CONTENT = frozenset((*VOLATILE, *ADDED, "$insert_id"))
"""Properties that do not tell events apart, or that Mixpanel changes."""


class _Line(msgspec.Struct):
    event: str
    properties: dict[str, msgspec.Raw]


_NAMES_KNOWN_MAX = 50_000
_decode = msgspec.json.Decoder(_Line).decode
_encode = msgspec.json.Encoder().encode


@dataclass
class EventPacker:
    """Packs the events of one set, and counts what it changes."""

    period: Period
    """The times that the project accepts."""
    ids: InsertIds = field(default_factory=InsertIds)
    keep_ip: bool = False
    """Whether Mixpanel shall locate the address that an event is sent from."""
    keep_arrival: bool = False
    """Whether to keep `mp_processing_time_ms` under another name."""
    zone: ZoneInfo | None = None
    """In which the clock stands that `time` comes from; UTC if None. Projects made before 2023
    serve the time of their own zone."""
    changes: Counter[str] = field(default_factory=Counter)
    """Number of rows by what was changed in them."""
    _kept_names: set[str] = field(default_factory=set)
    """Names of properties that need no treatment."""

    def pack(self, line: bytes) -> Staged:
        """Pack an event.

        Args:
            line: JSON of an object with `event` and `properties`.
        """
        try:
            event = _decode(line)
            parsed = orjson.loads(line)["properties"]
        except (msgspec.DecodeError, orjson.JSONDecodeError, UnicodeDecodeError, RecursionError):
            return self._pack_odd(line)
        return self._pack(event.event, event.properties, parsed)

    def _pack_odd(self, line: bytes) -> Staged:
        """Pack what JSON parsers refuse, repaired and counted, or hold it."""
        repairs: Counter[str] = Counter()
        try:
            row = repair_row(line, repairs)
            event = msgspec.convert(row, _Parsed)
        except (ValueError, msgspec.ValidationError):
            return hold(line, ": is not an object with event and properties")
        for kind, number in repairs.items():
            self.changes[f"values repaired ({kind})"] += number
        raws = {name: _raw(value) for name, value in event.properties.items()}
        return self._pack(event.event, raws, event.properties)

    def _pack(self, name: str, raws: dict[str, msgspec.Raw], parsed: dict[str, Any]) -> Staged:
        sent_id = first_given(parsed.get("$distinct_id_before_identity"), parsed.get("distinct_id"))
        if name == HOT_SHARD and parsed.get("mp_original_event_name"):
            name = str(parsed["mp_original_event_name"])
            sent_id = parsed.get("mp_original_distinct_id", sent_id)
            self.changes["hot shard events restored"] += 1
        self._put(raws, parsed, "distinct_id", _as_id(sent_id))
        arrived = parsed.get("mp_processing_time_ms")
        self._remove(raws, parsed)
        if self.keep_arrival and arrived is not None and ARRIVAL not in parsed:
            self._put(raws, parsed, ARRIVAL, arrived)
        time_ms = to_milliseconds(parsed.get("time"))
        if time_ms is not None and self.zone is not None:
            time_ms = from_wall_clock(time_ms, self.zone)
        if time_ms is not None:
            self._put(raws, parsed, "time", time_ms)
        content = _treated_content(name, parsed.get("distinct_id"), parsed)
        insert_id = self._identify(name, raws, parsed, content)
        if not self.keep_ip and "ip" not in parsed:
            raws["ip"] = msgspec.Raw(b"0")
        return self._stage(name, raws, parsed, content, insert_id, time_ms)

    def _stage(  # noqa: PLR0917 - what was found of one event
        self,
        name: str,
        raws: dict[str, msgspec.Raw],
        parsed: dict[str, Any],
        content: bytes,
        insert_id: str,
        time_ms: int | None,
    ) -> Staged:
        payload = one_line(_encode({"event": name, "properties": raws}))
        unusual = find_unusual(parsed)
        long_texts = sum(type(value) is str for _, value in unusual)
        if long_texts:
            self.changes["texts that Mixpanel may cut off"] += long_texts
        problem, held = find_problem(name, parsed, time_ms, self.period, unusual=unusual)
        if len(payload) > constants.ROW_BYTES_MAX:
            problem, held = f"event: has {len(payload):,} bytes, more than a megabyte", True
        return Staged(
            event_key(name, insert_id, parsed.get("distinct_id"), time_ms).hex(),
            content.hex(),
            _date(time_ms),
            name,
            insert_id,
            len(payload),
            payload.decode(),
            problem,
            held=held,
        )

    def _identify(
        self, name: str, raws: dict[str, msgspec.Raw], parsed: dict[str, Any], content: bytes
    ) -> str:
        given = parsed.get("$insert_id")
        if name in constants.IDENTITY_EVENTS and given is None:
            return content.hex()
        insert_id = self.ids.of(given, content)
        if insert_id is not given:
            parsed["$insert_id"] = insert_id
            raws["$insert_id"] = msgspec.Raw(b'"%b"' % insert_id.encode())
        return insert_id

    def _put(
        self, raws: dict[str, msgspec.Raw], parsed: dict[str, Any], name: str, value: object
    ) -> None:
        if value is not None and parsed.get(name) != value:
            parsed[name] = value
            raws[name] = _raw(value)

    def _remove(self, raws: dict[str, msgspec.Raw], parsed: dict[str, Any]) -> None:
        """Remove what Mixpanel sets itself, and count the names that it cuts off."""
        # one operation on sets instead of a look at each of twenty names of an event
        for name in parsed.keys() - self._kept_names:
            what = treatment(name)
            if what == "remove":
                del raws[name], parsed[name]
                self.changes[f"{name} removed"] += 1
            elif what == "long":
                self.changes["names that Mixpanel cuts off"] += 1
            elif len(self._kept_names) < _NAMES_KNOWN_MAX:
                self._kept_names.add(name)


class _Parsed(msgspec.Struct):
    event: str
    properties: dict[str, Any]


def hold(line: bytes, problem: str) -> Staged:
    """A row that cannot be sent, with its text as far as it can be read."""
    payload = one_line(line.decode("utf-8", "replace").encode())
    digest = content_digest(payload.decode()).hex()
    return Staged(digest, digest, "", "", "", len(payload), payload.decode(), problem, held=True)


def to_milliseconds(time: object) -> int | None:
    """Milliseconds since the epoch of a raw `time`, or None if it is not a time.

    Args:
        time: seconds or milliseconds since the epoch, or ISO 8601 text.
    """
    if type(time) is int:
        return time if abs(time) >= MS_FROM else time * 1000
    if type(time) is float and abs(time) < 1e15:  # noqa: PLR2004 - also false for NaN and infinity
        return round(time if abs(time) >= MS_FROM else time * 1000)
    if isinstance(time, str):
        moment = parse_moment(time)
        if moment is not None:
            return round(moment.replace(tzinfo=timezone.utc).timestamp() * 1000)
    return None


def from_wall_clock(time_ms: int, zone: ZoneInfo) -> int:
    """The instant at which the clock of a zone shows a time.

    An hour that the clock shows twice is taken for the first one.

    Args:
        time_ms: milliseconds since the epoch, as if the clock were in UTC.
        zone: of the clock.
    """
    seconds, milliseconds = divmod(time_ms, 1000)
    try:
        shown = datetime.fromtimestamp(seconds, timezone.utc).replace(tzinfo=zone)
        return int(shown.timestamp()) * 1000 + milliseconds
    except (ValueError, OverflowError, OSError):  # a year that calendars do not have
        return time_ms


def event_content(name: str, properties: dict[str, Any]) -> bytes:
    """Digest of an event without its ids and without what Mixpanel changes.

    The same for an event that is sent and for the same one in an export.

    Args:
        name: of the event.
        properties: parsed.
    """
    kept = {key: value for key, value in properties.items() if treatment(key) != "remove"}
    time_ms = to_milliseconds(kept.get("time"))
    if time_ms is not None:
        kept["time"] = time_ms
    sent_id = first_given(
        properties.get("$distinct_id_before_identity"), properties.get("distinct_id")
    )
    return _treated_content(name, _as_id(sent_id), kept)


def _treated_content(name: str, sent_id: object, properties: dict[str, Any]) -> bytes:
    kept = {key: value for key, value in properties.items() if key not in NO_CONTENT}
    return content_digest([name, sent_id, kept])


def event_key(name: str, insert_id: object, sent_id: object, time_ms: int | None) -> bytes:
    """What identifies an event, as `EventIdentifier` of `mixpanel_source` has it."""
    return content_digest([name, insert_id, sent_id, event_day(time_ms)])


def one_line(payload: bytes) -> bytes:
    """JSON without line breaks, which values taken over from formatted text may have."""
    return compact_json(payload).encode() if b"\n" in payload or b"\r" in payload else payload


def _as_id(value: object) -> object:
    """An id as text; Mixpanel makes text of numbers."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return str(value) if is_number else value


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(dump_json(value).encode())


def _date(time_ms: int | None) -> str:
    return "" if time_ms is None else _iso_date(time_ms // 1000 // SECONDS_PER_DAY)


@lru_cache(maxsize=4096)
def _iso_date(day: int) -> str:
    try:
        return date.fromordinal(day + EPOCH_ORDINAL).isoformat()
    except (ValueError, OverflowError):
        return ""


class Served(NamedTuple):
    """What is compared of an event of an export, as a staged event has it."""

    key: str
    content: str
    day: str
    event: str
    insert_id: str


def served_event(line: bytes) -> Served:
    """An event of an export.

    Args:
        line: its JSON. It is read as `EventPacker` reads, so that numbers compare equal.

    Raises:
        ValueError: it is not an event.
    """
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        row = repair_row(line, Counter())
    name, properties = row.get("event"), row.get("properties")
    if not isinstance(name, str) or not isinstance(properties, dict):
        raise ValueError("not an event")  # noqa: TRY004 - one kind of error for callers
    sent_id = first_given(
        properties.get("$distinct_id_before_identity"), properties.get("distinct_id")
    )
    time_ms = to_milliseconds(properties.get("time"))
    insert_id = properties.get("$insert_id")
    return Served(
        event_key(name, insert_id, _as_id(sent_id), time_ms).hex(),
        event_content(name, properties).hex(),
        _date(time_ms),
        name,
        str(insert_id or ""),
    )
