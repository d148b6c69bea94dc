"""Replies of any size end with a message, in bounded memory and disk, after a single request."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from mixpanel_source import constants
from mixpanel_source.decode.blocks import read_block
from mixpanel_source.decode.framing import inflate, iter_row_blocks
from mixpanel_source.decode.scan.tape import scan
from mixpanel_source.decode.value_types import EVENT
from mixpanel_source.errors import MixpanelError, RequestError
from mixpanel_source.tables.package import TablePart
from mixpanel_source.tables.spool.spool import Spool
from tests.support.lab import Lab
from tests.support.projects import YESTERDAY, add_event

MEGABYTE = 1_000_000


class Usage(NamedTuple):
    """Like the result of `shutil.disk_usage`."""

    total: int
    used: int
    free: int


@pytest.mark.parametrize("start", [b"", b'{"event":"a","properties":{"x":"', b'{"x":1}\n'])
def test_bomb_is_given_up(start: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small reply that grows to a huge row is read only up to the limit."""
    monkeypatch.setattr(constants, "MAX_ROW_BYTES", MEGABYTE)
    monkeypatch.setattr(constants, "BLOCK_BYTES", MEGABYTE)
    bomb = gzip.compress(start + b"x" * 50 * MEGABYTE)
    read = 0

    def pieces() -> Iterator[bytes]:
        nonlocal read
        for piece in inflate([bomb]):
            read += len(piece)
            yield piece

    with pytest.raises(RequestError, match="more than 1,000,000 bytes"):
        list(iter_row_blocks(pieces()))
    assert read < 5 * MEGABYTE


def test_torn_row_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that belong together are joined only up to the limit."""
    monkeypatch.setattr(constants, "MAX_ROW_BYTES", MEGABYTE)
    start = b'{"event":"a","properties":{"x":"'
    with pytest.raises(RequestError, match="more than 1,000,000 bytes"):
        list(iter_row_blocks([start, *[b"x" * 99_000 + b"\n"] * 20]))


def test_compiled_code_is_not_entered_with_more_than_it_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A block whose offsets do not fit is decoded row by row."""
    block = b'{"event":"a","properties":{"x":1}}\n' * 9
    monkeypatch.setattr(constants, "MAX_SCAN_BYTES", len(block))
    assert read_block(block, EVENT, small=0).tape is not None
    monkeypatch.setattr(constants, "MAX_SCAN_BYTES", len(block) - 1)
    assert read_block(block, EVENT, small=0).tape is None
    with pytest.raises(OverflowError):
        scan(block, EVENT)


def test_huge_row_costs_one_request(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The day with the row is refused by name and not requested again; the days before it load."""
    add_event(lab.project, YESTERDAY, 77, blob="x" * 300_000)
    monkeypatch.setattr(constants, "MAX_ROW_BYTES", 200_000)
    monkeypatch.setattr(constants, "BLOCK_BYTES", 1_000)
    failure = lab.sync("export").failures[TablePart("export")]
    assert str(failure).startswith(f"export {YESTERDAY}: a row of the reply has more than 200,000")
    assert lab.exported.count(str(YESTERDAY)) == 1
    assert str(YESTERDAY) not in lab.count_by_day()


def test_huge_page_costs_one_request(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reply that does not fit in memory is refused."""
    monkeypatch.setattr(constants, "MAX_BODY_BYTES", 100)
    failure = lab.sync("engage").failures[TablePart("engage")]
    assert "has more than 100 bytes, which do not fit in memory" in str(failure)
    assert len(lab.requests_for("engage")) == 1


def test_endless_reply_leaves_room_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A download stops before the disk is full, and deletes what it wrote."""
    monkeypatch.setattr(constants, "DISK_CHECK_BYTES", 10)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**12, 10**12, 10**6))
    spool = Spool(tmp_path / "spool")
    with pytest.raises(MixpanelError, match="cannot be written: No space left on device"):
        list(spool.write("window", [b"chunk"] * 9))
    assert [*(tmp_path / "spool").iterdir()] == []
