"""The manifest of an archive: what is read is what was written, and nothing else is read."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from mixpanel_source.tables.archive.manifest import ArchivedFile, Manifest, parse_manifest

FILE = ArchivedFile(
    table="export",
    day=date(2026, 11, 20),
    rows=3,
    duplicates=1,
    bytes=120,
    lines_bytes=900,
    sha256="ab" * 32,
    fetched_at=1_795_000_000.123456789,
    confirmed_at=1_795_000_001.5,
)
MANIFEST = Manifest(
    7,
    {"export": {"events": ["Sign up"]}, "engage": {}},
    {("export", FILE.day): FILE},
    {("export", FILE.day): FILE},
)


def test_is_read_as_written() -> None:
    """Times too, to the last digit: they are compared with those of loaded days."""
    assert parse_manifest(MANIFEST.dump()) == MANIFEST


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"project_id": "x"},
        {"files": []},
        {"files": {"x": {}}},
        {"files": {"x": {"table": "../../etc"}}},
        {"files": {"x": {"day": "2026-13-01"}}},
        {"files": {"x": {"fetched_at": "now"}}},
        {"replacing": None},
    ],
)
def test_others_are_refused(change: dict[str, Any]) -> None:
    """Another format, a missing key, a value of another type, a path out of the archive."""
    content = json.loads(MANIFEST.dump())
    (known,) = content["files"].values()
    files = change.get("files")
    if isinstance(files, dict) and files["x"]:
        change = {"files": {"x": {**known, **files["x"]}}}
    with pytest.raises(ValueError, match=r"manifest|format"):
        parse_manifest(json.dumps({**content, **change}).encode())


@pytest.mark.parametrize("content", [b"", b"null", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_object_is_refused(content: bytes) -> None:
    """Whatever a power cut or an editor leaves."""
    with pytest.raises(ValueError, match="not a manifest"):
        parse_manifest(content)
