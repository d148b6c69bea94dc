"""The site has every page of docs/, and links that are right on GitHub are right there too."""

from __future__ import annotations

import pytest
from mkdocs.config import load_config

from docs.site_pages import OUTSIDE, ROOT, SETTINGS, moved, on_config, settings_page

CONFIG = str(ROOT / "mkdocs.yml")


@pytest.mark.parametrize(
    ("path", "link", "rewritten"),
    [
        ("README.md", "[x](docs/tables.md#rejected-rows)", "[x](tables.md#rejected-rows)"),
        ("README.md", "[x](benchmarks/README.md)", "[x](benchmarks.md)"),
        ("README.md", "[x](#limits) [y](https://dlthub.com/a.md)", None),
        ("docs/dlt.md", "[x](../README.md#scheduling)", "[x](index.md#scheduling)"),
        ("docs/dlt.md", "[x](archive.md)", None),
        ("benchmarks/README.md", "![x](results/growth.svg)", "![x](benchmarks/results/growth.svg)"),
    ],
)
def test_links_are_rewritten(path: str, link: str, rewritten: str | None) -> None:
    """Links to files that are pages of the site under another name, and to pictures."""
    assert moved(link, path) == (rewritten or link)


def test_every_page_is_listed() -> None:
    """The navigation has each page of docs/, and those that are made from other files."""
    config = on_config(load_config(CONFIG))
    text = str(config.nav)
    pages = [path.name for path in (ROOT / "docs").glob("*.md")]
    assert [page for page in (*pages, *OUTSIDE.values(), SETTINGS) if f"'{page}'" not in text] == []


def test_settings_are_those_of_the_readme() -> None:
    """The page has the generated lists, and nothing of other sections."""
    page = settings_page((ROOT / "README.md").read_text())
    assert page.startswith("# Settings\n")
    assert "| `anchor_date` |" in page
    assert "\n## " not in page
