"""Properties into columns: one column for each property and type, kept forever, without loss."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Any

import pyarrow as pa
import pytest
from dlt.common.normalizers.naming.snake_case import NamingConvention
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_source.constants import MAX_COLUMNS, MAX_IDENTIFIER_BYTES
from mixpanel_source.decode.blocks import BlockReader
from mixpanel_source.decode.column_names import readable_name
from mixpanel_source.decode.columns import (
    OVERFLOW,
    RESERVED,
    ROW_VALUES,
    ColumnMap,
    StoredColumn,
)
from mixpanel_source.decode.decoded import ARROW_TYPES
from mixpanel_source.decode.decoder import BlockDecoder
from mixpanel_source.decode.index.identity import EventIdentifier
from mixpanel_source.decode.index.row_index import RowIndex
from mixpanel_source.decode.layout import EXPORT_COLUMNS, export_layout
from mixpanel_source.decode.value_types import EVENT, JsonType, Typed
from mixpanel_source.windows import Window
from tests.support.json_values import (
    HOSTILE_NAMES,
    canonical,
    names,
    property_sets,
    read_row,
    to_line,
)

DAY = date(2026, 11, 20)
NAMING = NamingConvention(MAX_IDENTIFIER_BYTES)
TEXT, BIGINT, DOUBLE = JsonType.TEXT, JsonType.BIGINT, JsonType.DOUBLE

Values = dict[Typed, list[Any]]


def place(columns: ColumnMap, values: Values) -> dict[str, list[Any]]:
    """The columns for a batch, as lists."""
    rows = len(next(iter(values.values())))
    arrays = {typed: pa.array(found, ARROW_TYPES[typed.type]) for typed, found in values.items()}
    placed = columns.place(arrays, rows=rows)
    return {column: array.to_pylist() for column, array in placed.items()}


def place_names(columns: ColumnMap, properties: Sequence[str]) -> dict[str, str]:
    """Property -> its column, after a batch of one row with all of them."""
    place(columns, {Typed(name, TEXT): ["x"] for name in properties} or {Typed("", TEXT): [None]})
    return {stored.property: stored.column_name for stored in columns.stored}


def new_map(stored: Sequence[Sequence[str]] = (), **options: int) -> ColumnMap:
    """The map of `export` in a new run, restored from what was stored."""
    return ColumnMap(EXPORT_COLUMNS, json.loads(json.dumps(stored)), **options)


def assert_names_fit(stored: Sequence[StoredColumn]) -> None:
    """No two properties share a column, and no destination changes a column's name."""
    owners: dict[str, str] = {}
    for name, column, _ in stored:
        if column != OVERFLOW:
            assert owners.setdefault(column, name) == name
            assert column not in {*RESERVED, "event", "event_date", "event_key", "time_epoch"}
        assert NAMING.normalize_path(column) == column
        assert len(column.encode()) <= MAX_IDENTIFIER_BYTES


@given(st.lists(st.lists(names(), max_size=10), max_size=4), st.randoms(use_true_random=False))
def test_names_are_unique_and_kept(batches: list[list[str]], rng: random.Random) -> None:
    """Any names get separate columns, in any order, and keep them in every later run."""
    columns = shuffled = new_map()
    for batch in batches:
        before = columns.stored
        columns, shuffled = new_map(columns.stored), new_map(shuffled.stored)
        found = place_names(columns, batch)
        assert place_names(shuffled, rng.sample(batch, len(batch))) == found
        assert columns.stored[: len(before)] == before
        assert_names_fit(columns.stored)


@given(st.permutations(HOSTILE_NAMES))
def test_hostile_names_are_unique_in_any_order(properties: list[str]) -> None:
    """Similar names do not collide, and their order within a batch does not matter."""
    found = place_names(new_map(), properties)
    assert found == place_names(new_map(), HOSTILE_NAMES)
    assert found.keys() == {*HOSTILE_NAMES}
    assert len({*found.values()}) == len(found)


def test_every_type_of_a_hostile_name_has_a_column() -> None:
    """Variant columns are unique, too, and unchanged by destinations."""
    columns = new_map()
    for kind, value in zip(JsonType, [True, 1, 1.5, "x", "[]"], strict=True):
        place(columns, {Typed(name, kind): [value] for name in HOSTILE_NAMES})
    # three properties have a fixed column besides, which is of a type of its own
    assert len(columns.stored) == len(HOSTILE_NAMES) * len(JsonType)
    assert_names_fit(columns.stored)


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("plan", "plan"),
        ("Plan Name", "plan_name"),
        ("planName", "plan_name"),
        ("HTTPStatusCode", "http_status_code"),
        ("utm_source [first touch]", "utm_source_first_touch"),
        ("$browser", "mp_browser"),
        ("mp_lib", "mp_lib"),
        ("$mp_api_endpoint", "mp_mp_api_endpoint"),
        ("1st visit", "_1st_visit"),
        ("Café", "cafe"),
        ("a__b", "a_b"),
        ("property", "property"),
        ("$", "mp"),
    ],
)
def test_a_readable_name_stays_readable(name: str, column: str) -> None:
    """A column has the name of its property, in snake case."""
    assert readable_name(name) == column
    assert place_names(new_map(), [name])[name] == column


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("日本", "property_"),
        ("🙂", "property_"),
        ("", "property_"),
        ("Größe", "gro_e_"),
        ("$日本", "mp_"),
        ("event", "event_"),
        ("event_date", "event_date_"),
        ("insert_id", "insert_id_"),
        ("properties", "properties_"),
        ("other_properties", "other_properties_"),
        ("xmin", "xmin_"),
        ("n" * 300, "n" * 44 + "_"),
    ],
)
def test_a_name_that_would_mislead_has_a_hash(name: str, start: str) -> None:
    """If letters are lost or the name is taken, eight digits follow."""
    column = place_names(new_map(), [name])[name]
    assert column.startswith(start)
    digits = column.removeprefix(start)
    assert len(digits) == 8
    assert int(digits, 16) >= 0


def test_the_exact_name_has_the_plain_column() -> None:
    """Of similar names, the one that needs no change gets no hash."""
    found = place_names(new_map(), ["Plan", "$plan", "PLAN", "plan"])
    assert found["plan"] == "plan"
    assert found["$plan"] == "mp_plan"


def test_a_hash_that_is_taken_is_not_used() -> None:
    """A property named like another property's hashed column does not get that column."""
    taken = place_names(new_map(), ["plan", "Plan"])["Plan"]
    found = place_names(new_map(), ["plan", taken, "Plan"])
    assert found[taken] == taken
    assert len({*found.values()}) == len(found)


def test_a_column_stays_when_a_better_name_comes() -> None:
    """The first property keeps its column, even if a later one has exactly that name."""
    columns = new_map()
    place_names(columns, ["Plan"])
    found = place_names(new_map(columns.stored), ["plan"])
    assert found["Plan"] == "plan"
    assert found["plan"].startswith("plan_")


def test_a_name_like_a_variant_is_no_variant() -> None:
    """A property `price__v_text` is kept apart from the text values of `price`."""
    values: Values = {
        Typed("price", BIGINT): [1, 2, None],
        Typed("price", TEXT): [None, None, "free"],
        Typed("price__v_text", TEXT): ["a", "b", "c"],
    }
    assert place(new_map(), values) == {
        "price": [1, 2, None],
        "price__v_text": [None, None, "free"],
        "price_v_text": ["a", "b", "c"],
    }


@pytest.mark.parametrize(
    ("values", "placed"),
    [
        ({BIGINT: [1, None], DOUBLE: [None, 1.5]}, {"x": [1.0, 1.5]}),
        (
            {BIGINT: [1, 2, None], TEXT: [None, None, "a"]},
            {"x": [1, 2, None], "x__v_text": [None, None, "a"]},
        ),
        (
            {BIGINT: [1, None, None], TEXT: [None, "a", "b"]},
            {"x": [None, "a", "b"], "x__v_bigint": [1, None, None]},
        ),
        (
            {JsonType.BOOL: [True, True, None], DOUBLE: [None, None, 1.0]},
            {"x": [True, True, None], "x__v_double": [None, None, 1.0]},
        ),
        (
            {DOUBLE: [1.5, None, None], BIGINT: [None, 2**53, 2**53 + 1]},
            {"x": [1.5, 2.0**53, None], "x__v_bigint": [None, None, 2**53 + 1]},
        ),
        (
            {DOUBLE: [1.5, None, None], BIGINT: [None, -(2**53), -(2**63)]},
            {"x": [1.5, -(2.0**53), None], "x__v_bigint": [None, None, -(2**63)]},
        ),
        (
            {DOUBLE: [1.5, None], BIGINT: [None, 2**63 - 1]},
            {"x": [1.5, None], "x__v_bigint": [None, 2**63 - 1]},
        ),
    ],
    ids=["number", "int, text", "text, int", "bool, float", "2^53", "-2^63", "2^63-1"],
)
def test_values_of_several_types_in_a_batch(
    values: dict[JsonType, list[Any]], placed: dict[str, list[Any]]
) -> None:
    """The most frequent type wins; integers join doubles if a double holds them exactly."""
    columns = new_map()
    assert place(columns, {Typed("x", kind): found for kind, found in values.items()}) == placed
    types = {column: type_ for _, column, type_ in columns.stored}
    assert types.keys() == placed.keys()


def test_a_type_is_kept_for_ever() -> None:
    """A column of integers takes no doubles, and a column of doubles takes integers."""
    columns = new_map()
    place(columns, {Typed("i", BIGINT): [1], Typed("f", DOUBLE): [1.5]})
    later = new_map(columns.stored)
    assert place(later, {Typed("i", DOUBLE): [1.5], Typed("f", BIGINT): [2]}) == {
        "f": [2.0],
        "i__v_double": [1.5],
    }
    assert later.stored == [*columns.stored, ("i", "i__v_double", "double")]


def test_fixed_columns_have_variants() -> None:
    """A `time` that is not a time goes to a variant column, also in later runs."""
    columns = new_map()
    values: Values = {Typed("time", TEXT): ["soon"], Typed("$insert_id", BIGINT): [5]}
    expected = {"time__v_text": ["soon"], "insert_id__v_bigint": [5]}
    assert place(columns, values) == expected
    assert place(new_map(columns.stored), values) == expected


def test_a_property_without_values_gets_no_column() -> None:
    """Null makes no column, because it has no type."""
    columns = new_map()
    assert place(columns, {Typed("x", TEXT): [None, None]}) == {}
    assert columns.stored == []


def test_json_columns_are_named() -> None:
    """The columns that hold JSON text are listed, including the overflow."""
    columns = new_map(max_columns=len(EXPORT_COLUMNS) + 2)
    place(columns, {Typed("a", JsonType.JSON): ["[1]"], Typed("b", TEXT): ["x"]})
    place(columns, {Typed("c", TEXT): ["x"]})
    assert columns.json_columns == ["a", OVERFLOW]


def test_past_the_cap_properties_share_one_column() -> None:
    """They become JSON with unchanged names and types; properties with a column keep it."""
    columns = new_map(max_columns=len(EXPORT_COLUMNS) + 1)
    place(columns, {Typed("a", TEXT): ["x"]})
    placed = place(
        columns,
        {
            Typed("a", TEXT): ["y", None, None],
            Typed("a", BIGINT): [None, 1, None],
            Typed('say "b"', JsonType.BOOL): [True, None, None],
            Typed("日本", JsonType.JSON): ['{"k":[1e99,null]}', "[]", None],
            Typed("f", DOUBLE): [1.0, 1e99, None],
        },
    )
    assert placed["a"] == ["y", None, None]
    assert [text and json.loads(text) for text in placed[OVERFLOW]] == [
        {'say "b"': True, "日本": {"k": [1e99, None]}, "f": 1.0},
        {"a": 1, "日本": [], "f": 1e99},
        None,
    ]
    found = {(name, column) for name, column, _ in columns.stored}
    assert found >= {("a", "a"), ("a", OVERFLOW), ("f", OVERFLOW)}


def test_the_cap_may_change() -> None:
    """A higher cap gives columns to new properties; a lower one takes none away."""
    full = new_map(max_columns=len(EXPORT_COLUMNS))
    place(full, {Typed("a", TEXT): ["x"]})
    raised = new_map(full.stored)
    assert place(raised, {Typed("a", TEXT): ["x"], Typed("b", TEXT): ["x"]}) == {
        "b": ["x"],
        OVERFLOW: ['{"a":"x"}'],
    }
    lowered = new_map(raised.stored, max_columns=len(EXPORT_COLUMNS))
    assert place(lowered, {Typed("b", TEXT): ["x"], Typed("c", TEXT): ["x"]}) == {
        "b": ["x"],
        OVERFLOW: ['{"c":"x"}'],
    }


def test_a_row_too_wide_for_a_database_is_cut() -> None:
    """A row's values beyond `ROW_VALUES` go to the JSON column, for that row only."""
    values: Values = {Typed(f"p{n:03}", BIGINT): [n, None] for n in range(ROW_VALUES + 2)}
    last, beyond = f"p{ROW_VALUES - 1:03}", [f"p{ROW_VALUES:03}", f"p{ROW_VALUES + 1:03}"]
    values[Typed(beyond[1], BIGINT)] = [ROW_VALUES + 1, 7]
    columns = new_map()
    placed = place(columns, values)
    assert placed[last] == [ROW_VALUES - 1, None]
    assert placed[beyond[1]] == [None, 7]
    assert [text and json.loads(text) for text in placed[OVERFLOW]] == [
        {name: int(name[1:]) for name in beyond},
        None,
    ]
    assert (beyond[1], OVERFLOW, "json") in columns.stored
    assert (last, OVERFLOW, "json") not in columns.stored


@given(
    st.lists(st.lists(property_sets(), max_size=5), min_size=1, max_size=3),
    st.sampled_from([MAX_COLUMNS, 12, len(EXPORT_COLUMNS)]),
)
def test_every_value_can_be_read_back(batches: list[list[dict[str, Any]]], cap: int) -> None:
    """Each value is unchanged after decoding and placing, in batches of several runs."""
    stored: list[StoredColumn] = []
    for batch in batches:
        columns = new_map(stored, max_columns=cap)
        lines = [to_line("e", properties) for properties in batch]
        table, positions = load(lines, columns)
        assert_names_fit(columns.stored)
        assert columns.stored[: len(stored)] == stored
        stored = columns.stored
        for row, position in zip(table.to_pylist(), positions, strict=True):
            assert_row_is(row, read_row(lines[position])[1], stored)


def load(lines: list[bytes], columns: ColumnMap) -> tuple[pa.Table, list[int]]:
    """The table of a batch, and the number of the line each row is from."""
    index, text = RowIndex(), b"".join(line + b"\n" for line in lines)
    block, identities = BlockReader(EventIdentifier()).read(text)
    index.extend(identities)
    index.window = Window(DAY, DAY)
    index.resolve_duplicates()
    decoded = BlockDecoder(EVENT).decode(block, start=0, dropped=index.dropped)
    laid = export_layout(decoded, index, zone="UTC")
    placed = columns.place(laid.properties, rows=decoded.row_count)
    return pa.table({**laid.fixed, **placed}), decoded.positions.to_pylist()


def assert_row_is(
    row: dict[str, Any], served: dict[str, Any], stored: Sequence[StoredColumn]
) -> None:
    """Each property is in exactly one of its columns, as it was served."""
    found: dict[str, list[Any]] = defaultdict(list)
    others = json.loads(row.get(OVERFLOW) or "{}")
    for name, column, data_type in stored:
        if column == OVERFLOW:
            found[name] += [others[name]] if name in others else []
        elif row.get(column) is not None:
            found[name].append(json.loads(row[column]) if data_type == "json" else row[column])
    for name, column in (("distinct_id", "distinct_id"), ("$insert_id", "insert_id")):
        if row[column] is not None:
            found[name] = found[name] or [row[column]]
    if isinstance(served.get("time"), int) and row["time"] is not None:
        # as a timestamp, of which the tests of the layout are
        found["time"] = found["time"] or [served["time"]]
    assert {name: [canonical(value) for value in found[name]] for name in found if found[name]} == {
        name: [canonical(value)] for name, value in served.items() if value is not None
    }


batches = st.lists(
    st.dictionaries(
        st.builds(
            Typed, st.sampled_from(["Plan", "plan", "plan ", "price"]), st.sampled_from(JsonType)
        ),
        st.just(0),
        min_size=1,
        max_size=4,
    ),
    max_size=3,
)
VALUES: dict[JsonType, list[Any]] = {
    JsonType.BOOL: [True, None],
    BIGINT: [2**53 + 1, 1],
    DOUBLE: [None, 0.5],
    TEXT: ["x", "y"],
    JsonType.JSON: ["[]", None],
}


@given(batches, batches, batches, st.sampled_from([MAX_COLUMNS, len(EXPORT_COLUMNS) + 3]))
def test_columns_are_adopted_only_if_they_would_have_been_assigned(
    first: list[Values], meanwhile: list[Values], elsewhere: list[Values], max_columns: int
) -> None:
    """A map that adopts what another one assigned is as if it had placed the values itself."""

    def place_all(columns: ColumnMap, given: list[Values]) -> list[dict[str, list[Any]]]:
        return [place(columns, {typed: VALUES[typed.type] for typed in values}) for values in given]

    base = new_map(max_columns=max_columns)
    place_all(base, first)
    other, here, alone = (new_map(base.stored, max_columns=max_columns) for _ in range(3))
    placed = place_all(other, elsewhere)
    place_all(here, meanwhile)
    place_all(alone, meanwhile)
    before = here.stored
    if here.adopt(base.stored, other.stored[len(base.stored) :]):
        assert place_all(alone, elsewhere) == placed
        assert here.stored == alone.stored
        assert place_all(here, elsewhere) == placed
    else:
        assert here.stored == before
        assert meanwhile
    # what was assigned with all columns known is always adopted
    again = new_map(here.stored, max_columns=max_columns)
    known = here.stored
    place_all(again, elsewhere)
    assert here.adopt(known, again.stored[len(known) :])
    assert here.stored == again.stored
