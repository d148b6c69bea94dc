"""Events, as they are sent to /import.

Pure. The text of values is kept as it came, so numbers of any length and repeated keys inside
objects arrive as they are in the input.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import orjson

from mixpanel_source.decode.index.identity import first_given
from mixpanel_source.decode.json_values import compact_json, content_digest, dump_json, repair_row

from .. import constants
from .checks import Period, find_problem, find_unusual
from .fingerprints import as_id, event_key, treated_content
from .insert_ids import InsertIds
from .properties import ARRIVAL, treatment
from .staged import Staged
from .times import from_wall_clock, to_milliseconds, utc_date

HOT_SHARD = "$hotshard_events"
"""Name that Mixpanel gives to the events of an id that has too many a day."""


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
        self._put(raws, parsed, "distinct_id", as_id(sent_id))
        arrived = parsed.get("mp_processing_time_ms")
        self._remove(raws, parsed)
        if self.keep_arrival and arrived is not None and ARRIVAL not in parsed:
            self._put(raws, parsed, ARRIVAL, arrived)
        time_ms = to_milliseconds(parsed.get("time"))
        if time_ms is not None and self.zone is not None:
            time_ms = from_wall_clock(time_ms, self.zone)
        if time_ms is not None:
            self._put(raws, parsed, "time", time_ms)
        content = treated_content(name, parsed.get("distinct_id"), parsed)
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
            utc_date(time_ms),
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


def one_line(payload: bytes) -> bytes:
    """JSON without line breaks, which values taken over from formatted text may have."""
    return compact_json(payload).encode() if b"\n" in payload or b"\r" in payload else payload


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(dump_json(value).encode())
