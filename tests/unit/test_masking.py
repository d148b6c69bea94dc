"""Masks of values: what each rule makes of them, the same however rows are decoded."""

from __future__ import annotations

import hmac
import json
from datetime import date
from typing import Any

import pytest

from mixpanel_source.config.build import build_config
from mixpanel_source.config.masking import check_mask
from mixpanel_source.config.reports import Report
from mixpanel_source.decode.blocks import BlockReader, read_block
from mixpanel_source.decode.decoded import Selection
from mixpanel_source.decode.decoder import BlockDecoder
from mixpanel_source.decode.framing import iter_row_blocks
from mixpanel_source.decode.index.identity import EventIdentifier
from mixpanel_source.decode.masking import ID_PROPERTIES, Mask
from mixpanel_source.decode.value_types import EVENT, PROFILE, JsonType, RowKind, Typed
from mixpanel_source.errors import ConfigError, ReplyError
from mixpanel_source.tables.events.day_settings import DaySettings
from mixpanel_source.tables.reports.masked import check_breakdowns, check_reports
from mixpanel_source.windows import DAY, Window

KEY = b"a key of sixteen characters"
REQUIRED = {"username": "u", "secret": "s", "project_id": 1, "mask_key": KEY.decode()}


def sha(text: str) -> str:
    """The hash of a text."""
    return hmac.new(KEY, text.encode(), "sha256").hexdigest()


@pytest.mark.parametrize(
    ("rule", "value", "masked"),
    [
        ("drop", "a", None),
        ("hash", "a", sha("a")),
        ("hash", 42, sha("42")),
        ("hash", 42.0, sha("42")),
        ("hash", True, sha("true")),
        ("hash", "$device:x", f"$device:{sha('x')}"),
        ("hash", ["a", ["b"], None], [sha("a"), [sha("b")], None]),
        ("hash", {"b": 1, "a": 2}, sha('{"a": 2, "b": 1}')),
        ("hash", "", ""),
        ("hash", None, None),
        ("truncate:2", "Zürich", "Zü"),
        ("truncate:3", 4711, "471"),
        ("truncate:3", {"a": 1}, None),
        ("truncate:3", False, None),
        ("domain", "Ann <ann@Example.com>", "example.com"),
        ("domain", "https://ann:pw@example.com:8080/ann?q=1", "example.com"),
        ("domain", "https://[ann", None),
        ("domain", "@ann", None),
        ("domain", "ann@home", None),
        ("domain", ["ann@example.com", 7], ["example.com", None]),
        ("hour", 1_700_000_000, 1_699_999_200),
        ("hour", 1_700_000_000.5, 1_699_999_200.0),
        ("day", 1_700_000_000_123, 1_699_920_000_000),
        ("day", "2023-11-14T23:13:20+01:00", "2023-11-14T00:00:00"),
        ("hour", "2023-11-14T22:13:20", "2023-11-14T22:00:00"),
        ("hour", "Ann", None),
        ("hour", True, None),
        ("day", {"at": 1}, None),
    ],
)
def test_rule(rule: str, value: Any, masked: Any) -> None:
    """A value of the wrong kind is left out, rather than stored as it is."""
    assert Mask({"x": rule}, KEY).mask("x", value) == masked


RULES = {"$email": "hash", "drop": "drop", "at": "day", "tags": "truncate:1", "distinct_id": "hash"}
ROWS = [
    {"$email": "ann@x.com", "drop": 1, "at": 1_700_000_000, "tags": ["abc"], "n": 1.5},
    {"$email": 42, "at": "2023-11-14", "tags": "xyz", "distinct_id": "u1", "drop": [1]},
    {"$email": ["a", "b"], "at": 1.7e9, "tags": {"k": "v"}, "distinct_id": 7, "$user_id": "u1"},
    {"$email": None, "distinct_id": "$device:d1", "$device_id": "d1", "big": {"n": 2**70}},
    {"$email": True, "plan": "pro", "alias": "u1", "$insert_id": "i"},
]


def decode(kind: RowKind, decoder: BlockDecoder, *, small: int) -> list[tuple[Any, ...]]:
    """The decoded rows, in order."""
    rows: list[dict[str, Any]] = [
        {kind.name_key: f"u{number}", kind.properties_key: row} for number, row in enumerate(ROWS)
    ]
    text = "".join(f"{json.dumps(row)}\n" for row in rows).encode()
    (block,) = iter_row_blocks([text])
    decoded = decoder.decode(read_block(block, kind, small=small), start=0)
    assert decoded.raw_properties is not None
    arrays = {name: array.to_pylist() for name, array in decoded.properties.items()}
    columns = [decoded.positions, decoded.names, decoded.raw_properties, decoded.digests]
    return sorted(
        (
            *(None if column is None else column[row].as_py() for column in columns),
            sorted((name, values[row]) for name, values in arrays.items() if values[row]),
        )
        for row in range(decoded.row_count)
    )


@pytest.mark.parametrize("kind", [EVENT, PROFILE])
def test_both_ways_of_decoding_give_the_same(kind: RowKind) -> None:
    """Arrays, JSON text and digests; the JSON text has the values of the arrays."""
    selection = Selection(raw=True, digest=kind is PROFILE)
    decoder = BlockDecoder(kind, selection, mask=Mask(RULES, KEY))
    by_row = decode(kind, decoder, small=10**6)
    assert by_row == decode(kind, decoder, small=0)
    for position, name, raw, _, values in by_row:
        assert name == (sha(f"u{position}") if kind is PROFILE else f"u{position}")
        found = {typed.name: json.loads(v) if typed.type == "json" else v for typed, v in values}
        assert found == {name: value for name, value in json.loads(raw).items() if value}
    assert by_row[2][4][0] == (
        Typed("$email", JsonType.JSON),
        f'["{sha("a")}","{sha("b")}"]',
    )
    assert '"big":{"n": 1180591620717411303424}' in by_row[3][2]
    texts = json.dumps([row[2:] for row in by_row])
    assert not any(f'"{value}"' in texts for value in ("ann@x.com", "u1", "d1", "abc", "xyz"))


def test_ids_are_masked_like_distinct_id() -> None:
    """Every property that holds an id, unless it has a rule of its own; equal ids stay equal."""
    mask = Mask({"distinct_id": "hash", "$user_id": "drop"}, KEY)
    for name in ID_PROPERTIES:
        assert mask.mask(name, "u1") == (None if name == "$user_id" else mask.mask_id("u1"))
    assert mask.mask("plan", "u1") == "u1"


def test_digests_of_profiles_are_keyed() -> None:
    """With another key they differ, so that they do not confirm a guess of the values."""
    selection = Selection(raw=True, digest=True)
    keys = (b"", KEY, KEY + b"2")
    masks = [Mask({"drop": "drop"} if key else {}, key) for key in keys]
    rows = [decode(PROFILE, BlockDecoder(PROFILE, selection, mask=mask), small=0) for mask in masks]
    assert len({of[0][3] for of in rows}) == len(keys)


def test_keys_of_events_are_keyed_and_tell_the_same_rows_apart() -> None:
    """Equal rows have equal keys, whether compiled code or Python identifies them."""
    lines = [
        b'{"event":"a","properties":{"time":1,"distinct_id":"u1","$insert_id":"%d"}}\n' % (n // 2)
        for n in range(6)
    ]
    block = b"".join(lines)
    plain, masked = (
        [
            [bytes(key) for key in reader.read(block, small=small).identities.keys]
            for small in (0, 10**6)
        ]
        for reader in (
            BlockReader(EventIdentifier()),
            BlockReader(EventIdentifier(), mask=Mask({"x": "drop"}, KEY)),
        )
    )
    assert masked[0] == masked[1]
    assert {*plain[0]}.isdisjoint(masked[0])
    assert [masked[0].index(key) for key in masked[0]] == [0, 0, 2, 2, 4, 4]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"a": "obscure"}, "the rule of a is 'obscure'; it must be one of drop, hash"),
        ({"a": 1}, "the rule of a is 1"),
        ({" ": "drop"}, "a property has no name"),
        ({"a": "truncate:0"}, "the rule of a is 'truncate:0'"),
        ({"distinct_id": "drop"}, "the rule of distinct_id is drop; it must be hash"),
        ("$email", "mask is of type str; it must be a table of properties and rules"),
        ('["a"]', "it must be a table of properties and rules"),
    ],
)
def test_refused_masks(given: Any, text: str) -> None:
    """The message names the property and the rules."""
    with pytest.raises(ConfigError, match=text.replace("$", r"\$")):
        build_config({**REQUIRED, "mask": given})


def test_mask_as_text_and_as_table() -> None:
    """Both give the same; `$distinct_id` of a profile is the `distinct_id` of its events."""
    given = {"$email": "hash", "$distinct_id": "hash"}
    config = build_config({**REQUIRED, "mask": given})
    assert config.mask == (("$email", "hash"), ("distinct_id", "hash"))
    assert build_config({**REQUIRED, "mask": json.dumps(given)}) == config
    assert KEY.decode() not in f"{config!r}{config.mask_version}"


def test_key_is_needed_and_long() -> None:
    """It is not shown, however it is refused."""
    with pytest.raises(ConfigError, match="mask_key is not set, but mask is"):
        check_mask((("a", "drop"),), None, None)
    with pytest.raises(ConfigError, match="mask_key is of type str; it must be text of 16") as info:
        build_config({**REQUIRED, "mask_key": "too short"})
    assert "too short" not in str(info.value)
    with pytest.raises(ConfigError, match="archive and mask are both set"):
        check_mask((("a", "drop"),), "k" * 16, "archive")


def report(table: str, **params: str) -> Report:
    """A declared report."""
    return Report("R", table, tuple(params.items()))


@pytest.mark.parametrize(
    ("declared", "named"),
    [
        (report("segmentation", on='properties["$email"]'), "$email"),
        (report("retention", on="user['$email']"), "$email"),
        (report("event_properties", name="$user_id"), "$user_id"),
        (report("jql", script="x"), "script"),
    ],
)
def test_reports_with_masked_values(declared: Report, named: str) -> None:
    """They are refused before a request, naming the property."""
    mask = Mask({"$email": "domain", "distinct_id": "hash"}, KEY)
    with pytest.raises(ConfigError, match=named.replace("$", r"\$")):
        check_reports([declared], mask)
    check_reports([declared], Mask({}, KEY))
    with pytest.raises(ReplyError, match=r"broken down by \$email, which mask masks"):
        check_breakdowns(["plan", "$email"], mask, subject="insights R")


def test_reports_without_masked_values() -> None:
    """Filters and sums have no values of the property in their rows."""
    mask = Mask({"$email": "domain"}, KEY)
    allowed = [
        report("segmentation", on='properties["plan"]', where='properties["$email"] == "x"'),
        report("segmentation_sum", on='properties["$email"]'),
    ]
    check_reports(allowed, mask)


def test_days_loaded_with_another_mask_are_named() -> None:
    """Days of before the mask count as unmasked; kept days stay what they were."""
    first, last = date(2026, 3, 1), date(2026, 3, 9)
    days = [first + DAY * number for number in range(9)]
    state: dict[str, Any] = {"day_settings": [[str(first), str(last), {"properties": "columns"}]]}
    masked = DaySettings(state, build_config({**REQUIRED, "mask": {"a": "drop"}}))
    assert [*DaySettings(state, build_config(REQUIRED)).warnings()] == []
    (warning,) = masked.warnings()
    assert "but 2026-03-01..2026-03-09 were loaded with no mask: they hold values" in warning
    masked.record(Window(first, last), kept=days[2:3])
    (warning,) = masked.warnings()
    assert warning.endswith("backfill --range 2026-03-03,2026-03-03")
    assert masked.with_other_key([*days, last + DAY]) == [days[2], last + DAY]
    other_rules = build_config({**REQUIRED, "mask": {"b": "drop"}})
    assert DaySettings(state, other_rules).with_other_key(days) == days[2:3]
    other_key = build_config({**REQUIRED, "mask": {"a": "drop"}, "mask_key": "k" * 16})
    assert DaySettings(state, other_key).with_other_key(days) == days
