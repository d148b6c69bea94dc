"""A tag is released only if it is that of the version and has a section in the changelog."""

from __future__ import annotations

import pytest

from docs.release import ROOT, release_notes

PROJECT = '[project]\nname = "x"\nversion = "1.2.0"\n'
CHANGELOG = (
    "# Changelog\n\n## 1.2.0 (2026-12-01)\n\n### Loading\n\n- Faster.\n\n## 1.1.0 (unreleased)\n"
)


def test_notes_are_the_section_of_the_tag() -> None:
    """The text below the heading of the version, up to the next version."""
    notes = release_notes("v1.2.0", project=PROJECT, changelog=CHANGELOG)
    assert notes == "### Loading\n\n- Faster."


@pytest.mark.parametrize(
    ("tag", "version", "message"),
    [
        ("v1.2.1", "1.2.0", "the tag is v1.2.1, but the version in pyproject.toml is 1.2.0"),
        ("1.2.0", "1.2.0", "the tag is 1.2.0"),
        ("v1.1.0", "1.1.0", "the date of 1.1.0 is missing"),
        ("v1.2", "1.2", "has no section '## 1.2 "),
        ("v1.3.0", "1.3.0", "the section of 1.3.0 is empty"),
    ],
)
def test_other_tags_are_refused(tag: str, version: str, message: str) -> None:
    """Another version, and a section that is missing, empty or without a date."""
    changelog = CHANGELOG + "\n## 1.3.0 (2026-12-31)\n\n"
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        release_notes(tag, project=PROJECT.replace("1.2.0", version), changelog=changelog)


def test_changelog_has_a_section_for_the_version() -> None:
    """The version in pyproject.toml is the newest of the changelog, released or not."""
    changelog = (ROOT / "CHANGELOG.md").read_text()
    newest = changelog.split("\n## ")[1].split()[0]
    assert f'\nversion = "{newest}"\n' in (ROOT / "pyproject.toml").read_text()
