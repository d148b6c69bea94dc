"""The fixed columns, and which properties remain beside them."""

from __future__ import annotations

from datetime import date, datetime, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_source.decode.blocks import BlockReader, read_block
from mixpanel_source.decode.decoded import Selection
from mixpanel_source.decode.decoder import BlockDecoder
from mixpanel_source.decode.index.identity import EventIdentifier
from mixpanel_source.decode.index.row_index import RowIndex
from mixpanel_source.decode.layout import (
    ENGAGE_SCHEMA,
    EXPORT_IDENTITY,
    EXPORT_SCHEMA,
    Layout,
    engage_layout,
    export_layout,
)
from mixpanel_source.decode.value_types import EVENT, PROFILE, JsonType, Typed
from mixpanel_source.windows import Window
from tests.support.json_values import canonical, read_row, to_line, values

DAY = date(2026, 11, 20)
NOON_S = 1_795_176_000
NOON = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
# clocks in New York go forward on 2026-03-08 and back on 2026-11-01, at 2 in the morning
NEW_YORK = "America/New_York"
GAP_S = 1_772_935_200
FOLD_S = 1_793_494_800

EVENTS = BlockDecoder(EVENT)


def lay(*lines: bytes, zone: str = "UTC", decoder: BlockDecoder = EVENTS) -> Layout:
    """Events of a day, laid out."""
    index, text = RowIndex(), b"".join(line + b"\n" for line in lines)
    block, identities = BlockReader(EventIdentifier()).read(text)
    index.extend(identities)
    index.window = Window(DAY, DAY)
    index.resolve_duplicates()
    return export_layout(decoder.decode(block, start=0), index, zone=zone)


def rest(laid: Layout) -> dict[Typed, list[Any]]:
    """The properties that remain beside the fixed columns."""
    return {typed: array.to_pylist() for typed, array in laid.properties.items()}


def fixed(laid: Layout, name: str) -> list[Any]:
    """A column that every row has."""
    values: list[Any] = laid.fixed[name].to_pylist()
    return values


@pytest.mark.parametrize(
    ("literal", "moment"),
    [
        (b"%d" % NOON_S, NOON),
        (b"%d000" % NOON_S, NOON),
        (b"%d123" % NOON_S, NOON.replace(microsecond=123_000)),
        (b"0", datetime(1970, 1, 1, tzinfo=timezone.utc)),
        (b"-86400", datetime(1969, 12, 31, tzinfo=timezone.utc)),
        (b"-30000000001", datetime(1969, 1, 18, 18, 39, 59, 999_000, tzinfo=timezone.utc)),
    ],
    ids=["seconds", "milliseconds", "a fraction in ms", "1970", "1969", "ms before 1970"],
)
def test_a_whole_number_is_a_time_and_nothing_else(literal: bytes, moment: datetime) -> None:
    """`time` in seconds or milliseconds becomes a timestamp, and nothing remains."""
    laid = lay(b'{"event":"e","properties":{"time":%s}}' % literal)
    assert fixed(laid, "time") == [moment]
    assert rest(laid) == {}


@pytest.mark.parametrize(
    ("literal", "moment", "kind", "kept"),
    [
        (b"%d.25" % NOON_S, NOON.replace(microsecond=250_000), JsonType.DOUBLE, NOON_S + 0.25),
        (b"%d000.5" % NOON_S, NOON.replace(microsecond=500), JsonType.DOUBLE, NOON_S * 1e3 + 0.5),
        (b'"2026-11-20T12:00:00"', NOON, JsonType.TEXT, "2026-11-20T12:00:00"),
        (b'"2026-11-20T14:00:00+02:00"', NOON, JsonType.TEXT, "2026-11-20T14:00:00+02:00"),
        (b'"2026-11-20 12:00:00Z"', NOON, JsonType.TEXT, "2026-11-20 12:00:00Z"),
        (b'"yesterday"', None, JsonType.TEXT, "yesterday"),
        (b'"0001-01-01T00:00:00"', None, JsonType.TEXT, "0001-01-01T00:00:00"),
        (b"9223372036854775807", None, JsonType.BIGINT, 2**63 - 1),
        (b"-9223372036854775808", None, JsonType.BIGINT, -(2**63)),
        (b"253402300800000", None, JsonType.BIGINT, 253_402_300_800_000),
        (b"1e308", None, JsonType.DOUBLE, 1e308),
        (b"18446744073709551616", None, JsonType.TEXT, "18446744073709551616"),
        (b"true", None, JsonType.BOOL, True),
        (b"[1]", None, JsonType.JSON, "[1]"),
        (b'{"$date":1}', None, JsonType.JSON, '{"$date":1}'),
    ],
)
def test_another_time_stays_among_the_properties(
    literal: bytes, moment: datetime | None, kind: JsonType, kept: object
) -> None:
    """A `time` that a timestamp does not hold exactly is also kept unchanged."""
    laid = lay(b'{"event":"e","properties":{"time":%s}}' % literal)
    assert fixed(laid, "time") == [moment]
    assert fixed(laid, "event_date") == [DAY]
    assert rest(laid) == {Typed("time", kind): [kept]}


def test_times_of_all_kinds_in_one_batch() -> None:
    """Each row has its own time, whatever other rows have."""
    times = [NOON_S, NOON_S * 1000, NOON_S + 0.5, "2026-11-20T12:00:00", None, 2**63 - 1, [1]]
    laid = lay(*(to_line("e", {"time": time, "$insert_id": str(time)}) for time in times))
    half = NOON.replace(microsecond=500_000)
    assert fixed(laid, "time") == [NOON, NOON, half, NOON, None, None, None]
    assert rest(laid) == {
        Typed("time", JsonType.BIGINT): [None] * 5 + [2**63 - 1, None],
        Typed("time", JsonType.DOUBLE): [None] * 2 + [NOON_S + 0.5] + [None] * 4,
        Typed("time", JsonType.TEXT): [None] * 3 + ["2026-11-20T12:00:00"] + [None] * 3,
        Typed("time", JsonType.JSON): [None] * 6 + ["[1]"],
    }


def test_an_event_without_a_time_is_filed_under_its_day() -> None:
    """An event without a time still has the day Mixpanel serves it under."""
    laid = lay(to_line("e", {"x": 1}))
    assert fixed(laid, "time") == [None]
    assert fixed(laid, "event_date") == [DAY]


@given(st.integers(GAP_S - 7_200, GAP_S + 7_200) | st.integers(FOLD_S - 7_200, FOLD_S + 7_200))
def test_no_time_is_lost_when_the_clocks_change(wall_clock_s: int) -> None:
    """Every wall clock time has an instant, in the same order, and its number is kept."""
    lines = [to_line("e", {"time": wall_clock_s + s, "$insert_id": str(s)}) for s in (0, 1)]
    laid = lay(*lines, zone=NEW_YORK)
    assert fixed(laid, "time_epoch") == [wall_clock_s * 1000, wall_clock_s * 1000 + 1000]
    first, second = fixed(laid, "time")
    assert first <= second
    shown = datetime.fromtimestamp(wall_clock_s, timezone.utc).replace(tzinfo=None)
    local = first.astimezone(ZoneInfo(NEW_YORK)).replace(tzinfo=None)
    assert local == shown or GAP_S <= wall_clock_s < GAP_S + 3_600


@pytest.mark.parametrize(
    ("wall_clock_s", "utc"),
    [
        (GAP_S - 1, "06:59:59"),
        (GAP_S, "07:00:00"),
        (GAP_S + 1_800, "07:00:00"),
        (GAP_S + 3_600, "07:00:00"),
        (FOLD_S - 1, "04:59:59"),
        (FOLD_S, "05:00:00"),
        (FOLD_S + 3_599, "05:59:59"),
        (FOLD_S + 3_600, "07:00:00"),
    ],
)
def test_a_wall_clock_time_in_utc(wall_clock_s: int, utc: str) -> None:
    """A skipped time is the instant of the change; a repeated time is the earlier instant."""
    laid = lay(to_line("e", {"time": wall_clock_s}), zone=NEW_YORK)
    assert str(fixed(laid, "time")[0].time()) == utc


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Etc/GMT+12"])
@pytest.mark.parametrize("year", [1, 2, 9998, 9999])
def test_no_zone_leads_out_of_the_years_a_database_holds(zone: str, year: int) -> None:
    """Times at either end are null or in the years 1 to 9999, in every zone."""
    ends = (datetime(year, 1, 1), datetime(year, 12, 31, 23, 59, 59))  # noqa: DTZ001 - wall clock
    times_ms = [round((end - datetime(1970, 1, 1)).total_seconds()) * 1000 for end in ends]  # noqa: DTZ001
    laid = lay(*(to_line("e", {"time": time_ms}) for time_ms in times_ms), zone=zone)
    moments = fixed(laid, "time")
    kept = rest(laid).get(Typed("time", JsonType.BIGINT), [None, None])
    assert kept == [None if moments[n] else times_ms[n] for n in (0, 1)]
    assert all(moment is None or abs(moment.year - year) <= 1 for moment in moments)


def test_projects_in_utc_have_no_time_epoch() -> None:
    """The number is kept only if `time` is converted."""
    assert "time_epoch" not in lay(to_line("e", {"time": 1})).fixed
    assert "time_epoch" in lay(to_line("e", {"time": 1}), zone=NEW_YORK).fixed


@given(st.lists(values(), max_size=6))
def test_ids_are_text_whatever_they_were(ids: list[Any]) -> None:
    """Id columns hold text unchanged, and other ids as text; these also remain properties."""
    lines = [to_line("e", {"$insert_id": value, "time": n}) for n, value in enumerate(ids)]
    laid = lay(*lines)
    kept = rest(laid)
    assert Typed("$insert_id", JsonType.TEXT) not in kept
    for number, text in enumerate(fixed(laid, "insert_id")):
        value = read_row(lines[number])[1]["$insert_id"]
        others = [found[number] for found in kept.values() if found[number] is not None]
        if value is None or isinstance(value, str):
            assert (text, others) == (value, [])
        else:
            assert isinstance(text, str)
            assert len(others) == 1
            assert isinstance(value, (list, dict)) or canonical(others[0]) == canonical(value)


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("only", [None, EXPORT_IDENTITY])
def test_the_columns_of_export(*, raw: bool, only: tuple[str, ...] | None) -> None:
    """The columns and types are those of the schema in every mode."""
    laid = lay(to_line("e", {"time": 1}), decoder=BlockDecoder(EVENT, Selection(only, raw)))
    assert [*laid.fixed] == [*EXPORT_SCHEMA.names, *(["properties"] if raw else [])]
    for field in EXPORT_SCHEMA:
        assert laid.fixed[field.name].type == field.type


@pytest.mark.parametrize("raw", [False, True])
def test_the_columns_of_engage(*, raw: bool) -> None:
    """A property with the name of a fixed column remains a property."""
    line = b'{"$distinct_id":"u","$properties":{"distinct_id":"x","$distinct_id":"y"}}'
    decoder = BlockDecoder(PROFILE, Selection(raw=raw, digest=True))
    laid = engage_layout(decoder.decode(read_block(line + b"\n", PROFILE), start=0))
    assert [*laid.fixed] == [*ENGAGE_SCHEMA.names, *(["properties"] if raw else [])]
    assert fixed(laid, "distinct_id") == ["u"]
    assert rest(laid) == {
        Typed("distinct_id", JsonType.TEXT): ["x"],
        Typed("$distinct_id", JsonType.TEXT): ["y"],
    }


def test_rows_have_distinct_keys() -> None:
    """Every row has a key, and different rows have different keys."""
    laid = lay(*(to_line("e", {"time": 1, "$insert_id": str(n)}) for n in range(3)))
    keys = fixed(laid, "event_key")
    assert len({*keys}) == 3
    assert laid.fixed["event_key"].type == pa.string()
