"""Checks that a tag can be released, and prints its section of the changelog.

    python -m docs.release v0.1.0

The release workflow runs it first, and uses what it prints as the notes of the release.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]


def release_notes(tag: str, *, project: str, changelog: str) -> str:
    """The section of the changelog for a tag.

    Args:
        tag: `v` and the version.
        project: text of pyproject.toml.
        changelog: text of CHANGELOG.md, with a heading `## 0.1.0 (2026-12-01)` for each version.

    Raises:
        ValueError: the tag is not that of the version, or its section is missing, empty or has no
            date.
    """
    version = re.search(r'^version = "(.+)"$', project, re.MULTILINE)
    if version is None or tag != f"v{version[1]}":
        found = version[1] if version else "missing"
        raise ValueError(f"the tag is {tag}, but the version in pyproject.toml is {found}")
    for section in re.split(r"^## ", changelog, flags=re.MULTILINE)[1:]:
        heading, _, text = section.partition("\n")
        name, _, released = heading.partition(" ")
        if name != version[1]:
            continue
        if not re.fullmatch(r"\(\d{4}-\d\d-\d\d\)", released):
            raise ValueError(f"CHANGELOG.md: the date of {name} is missing: '## {heading}'")
        if not text.strip():
            raise ValueError(f"CHANGELOG.md: the section of {name} is empty")
        return text.strip()
    raise ValueError(f"CHANGELOG.md has no section '## {version[1]} (YYYY-MM-DD)'")


def main() -> None:
    """Print the notes, or what is wrong and exit with 1."""
    if len(sys.argv) != 2:  # noqa: PLR2004 - the program and a tag
        sys.exit("usage: python -m docs.release TAG")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    try:
        print(release_notes(sys.argv[1], project=project, changelog=changelog))  # noqa: T201
    except ValueError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
