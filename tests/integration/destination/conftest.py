"""Fixtures of the tests of the destination."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mixpanel_sandbox import Project
from tests.support.writing import Writing, open_writing


@pytest.fixture
def writing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Writing]:
    """Serve an empty project to write to."""
    with open_writing(monkeypatch, tmp_path, Project(retention_days=1825)) as opened:
        yield opened
