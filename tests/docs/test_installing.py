"""The page on installing lists the extras that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/installing.md").read_text()
PROJECT = (ROOT / "pyproject.toml").read_text()
FOR_DEVELOPERS = {"bench", "dev", "docs", "pictures", "lake-tests"}


def test_extras_are_listed() -> None:
    """Each extra for users has a row with its size, and no other extra does."""
    section = PROJECT.split("[project.optional-dependencies]")[1].split("\n[project.")[0]
    extras = set(re.findall(r"^([\w-]+) = \[$", section, re.MULTILINE))
    rows = re.findall(r"^\| `([\w-]+)` \| .+ \| \+ \d+ MB \|$", PAGE, re.MULTILINE)
    assert set(rows) == extras - FOR_DEVELOPERS
    assert len(rows) == len(set(rows))
