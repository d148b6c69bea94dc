"""Damaged local state of dlt is discarded, sound state is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from mixpanel_source.jobs.working_directory import discard_damaged_state

SOUND = b'{"schema_names": ["mixpanel"]}'


@pytest.mark.parametrize("content", [b"", bytes(22), SOUND[:9], b"[]", b"\xff\xfe"])
@pytest.mark.parametrize("name", ["state.json", "schemas/mixpanel.schema.json"])
def test_damaged_state_is_discarded(tmp_path: Path, name: str, content: bytes) -> None:
    """One damaged file is enough, because dlt expects state and schemas to fit each other."""
    directory = tmp_path / "mixpanel"
    (directory / "schemas").mkdir(parents=True)
    for sound in ("state.json", "schemas/mixpanel.schema.json"):
        (directory / sound).write_bytes(SOUND)
    discard_damaged_state(directory)
    assert (directory / "state.json").exists()
    (directory / name).write_bytes(content)
    discard_damaged_state(directory)
    assert not directory.exists()


def test_state_whose_schema_is_missing_is_discarded(tmp_path: Path) -> None:
    """The state names its schemas, and dlt fails without one of them."""
    directory = tmp_path / "mixpanel"
    directory.mkdir()
    (directory / "state.json").write_bytes(SOUND)
    discard_damaged_state(directory)
    assert not directory.exists()


def test_new_directory_is_left_alone(tmp_path: Path) -> None:
    """Nothing happens before dlt has made the directory, or before it has written its state."""
    discard_damaged_state(tmp_path / "missing")
    discard_damaged_state(tmp_path)
    assert tmp_path.exists()
