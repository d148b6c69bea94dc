"""The lists of tables in the README and the pages follow the descriptions of the tables."""

from __future__ import annotations

import pytest

from docs.tables import PARTS, ROOT, Part, updated


@pytest.mark.parametrize("part", PARTS, ids=lambda part: f"{part.path} {part.name}")
def test_list_is_up_to_date(part: Part) -> None:
    """Nothing would change; else run `python -m docs.tables`."""
    text = (ROOT / part.path).read_text(encoding="utf-8")
    assert text == updated(part, text)


def test_marks_are_missing() -> None:
    """A page without its marks is not rewritten in silence."""
    with pytest.raises(ValueError, match=r"README.md: nothing between '<!-- tables: begin"):
        updated(PARTS[0], "# mixpanel-source\n")
