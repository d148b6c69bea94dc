"""Windows of many blocks: compiled code reads them, twice if they do not fit in memory."""

from __future__ import annotations

import json
from collections import deque
from datetime import date
from functools import partial
from pathlib import Path

import pytest

from mixpanel_sandbox import Project
from mixpanel_source import constants
from mixpanel_source.decode.blocks import BlockReader, read_block
from mixpanel_source.decode.columns import ColumnMap
from mixpanel_source.decode.decoder import BlockDecoder
from mixpanel_source.decode.index.identity import EventIdentifier
from mixpanel_source.decode.layout import EXPORT_COLUMNS, export_layout
from mixpanel_source.decode.value_types import EVENT
from mixpanel_source.decode.verify import verify
from mixpanel_source.errors import TruncatedError
from mixpanel_source.jobs.pipeline import open_pipeline
from mixpanel_source.tables.emit import iter_tables
from mixpanel_source.tables.spool.spool import Spool
from tests.support.fidelity import assert_kept
from tests.support.lab import load
from tests.support.tables import select_all

DAY = date(2026, 11, 20)
ODD_LINES = [
    rb'{"event":"odd","properties":{"time":1795132800,"$insert_id":"a","x":18446744073709551616}}',
    rb'{"event":"odd","properties":{"time":1795132801,"$insert_id":"b","x":"a\u0000b","n":NaN}}',
    rb'{"event":"odd","properties":{"time":1795132802,"distinct_id":"no insert id","x":[1e99]}}',
    rb'{"event":"odd","properties":{"time":1795132802,"distinct_id":"no insert id","x":[1e99]}}',
    b'{"event":"odd","properties":{"time":1795132803,"$insert_id":"c","x":"\xff"}}',
]


def make_lines() -> list[bytes]:
    """Four megabytes of events, as Mixpanel writes them and with characters escaped."""
    lines = []
    for number in range(6_000):
        properties = {
            "time": 1_795_132_800 + number,
            "distinct_id": f"user {number % 50}",
            "$insert_id": f"{number:032x}",
            f"only {number % 7}": "a text with é and 日本 \n" * 12,
            "price": number if number % 3 else number + 0.25,
            "list": [number, {"é": None}],
            "flag": number % 2 == 0,
        }
        row = {"event": f"Event {number % 5}", "properties": properties}
        lines.append(json.dumps(row, ensure_ascii=number % 2 == 0).encode())
    return lines


def make_project() -> Project:
    """A day with duplicates far apart and with odd lines, and many profiles."""
    lines = make_lines()
    lines[4_000:4_000] = ODD_LINES
    lines += lines[10:40]
    profiles = [
        json.dumps({"$distinct_id": f"u{number}", "$properties": {"n": number, "t": "x" * 500}})
        for number in range(3_000)
    ]
    return Project(events={DAY: lines}, profiles=[profile.encode() for profile in profiles])


@pytest.mark.parametrize(
    ("kept", "workers"),
    [
        pytest.param(0, 2, marks=pytest.mark.slow),
        (6_000_000, 1),
        pytest.param(constants.KEPT_BYTES, 1, marks=pytest.mark.slow),
    ],
    ids=["read twice", "read in part", "read once"],
)
@pytest.mark.parametrize(
    "destination", ["duckdb", pytest.param("postgres", marks=pytest.mark.slow)]
)
def test_all_is_kept(
    destination: str,
    workers: int,
    kept: int,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However a window is read, each row is loaded once and completely."""
    monkeypatch.setattr(constants, "KEPT_BYTES", kept)
    monkeypatch.setattr(constants, "BLOCK_BYTES", 1_500_000)
    url = request.getfixturevalue("postgres") if destination == "postgres" else None
    if url:
        monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", url)
    project, pipeline = make_project(), open_pipeline(destination, dataset="kept")
    mode = "both" if workers == 1 else "columns"
    report = load(project, pipeline, workers=workers, properties=mode, engage_page_size=1_000)
    assert_kept(project, pipeline, properties=mode)
    rows = select_all(pipeline, "export")
    assert len({row["event_key"] for row in rows}) == len(rows) == 6_005
    assert report.windows[0].duplicates_dropped == 30
    assert report.windows[0].repairs == {"integer": 1, "nul": 1, "not_finite": 1, "utf8": 1}


@pytest.mark.parametrize(("room", "kept"), [(10, 10), (9.5, 4), (1, 0), (0, 0)])
def test_of_a_window_that_is_too_big_little_is_kept(
    room: float, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A window that fits is kept in memory; of any other window, half of what fits."""
    block = b"".join(line + b"\n" for line in make_lines()[:10])
    monkeypatch.setattr(constants, "KEPT_BYTES", room * read_block(block, EVENT).nbytes)
    verified = verify([block] * 10, BlockReader(EventIdentifier()))
    assert len(verified.blocks) == kept
    assert len(verified.index) == 100


def test_a_window_that_changed_on_the_disk_is_refused(tmp_path: Path) -> None:
    """Rows that were not verified are not loaded."""
    lines = [line + b"\n" for line in make_lines()[:10]]
    spool = Spool(tmp_path)
    deque(spool.write("window", lines), maxlen=0)
    spooled = spool.keep("window", gzipped=False, fetched_at=0.0, requests=1, lines_bytes=0)
    verified = verify(spooled.row_blocks(), BlockReader(EventIdentifier()))
    verified.blocks.clear()
    spooled.path.write_bytes(b"".join(lines[1:]))
    lay = partial(export_layout, index=verified.index, zone="UTC")
    with pytest.raises(TruncatedError, match="changed on disk"):
        [*iter_tables(spooled, verified, BlockDecoder(EVENT), lay, ColumnMap(EXPORT_COLUMNS))]
