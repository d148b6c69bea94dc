"""Documentation, docstrings, comments and messages are in plain technical English.

The phrases below are correct but archaic, vague or ambiguous. The replacements are suggestions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PLAIN = (
    "README.md",
    "CHANGELOG.md",
    "docs",
    "benchmarks",
    "mixpanel_destination",
    "mixpanel_sandbox",
    "mixpanel_source",
    "pipelines",
)
"""Files and folders that are checked."""

PHRASES = {
    # active verbs and nouns instead of talking modules
    r"\b(is|are|was|were) told\b(?! apart)|\btold (of|by|how|so)\b": "receives, reports",
    r"\b(is|are|was|were) said\b|\bsaid (of|so)\b": "describes, states",
    r"\bsays so\b": "reports it",
    r"\b(is|are|was|were) asked\b(?! to)|\bas asked\b": "requested",
    r"\basked (of|for)\b": "requested",
    r"\bnobody asks\b|\bso that nobody\b": "so that it does not",
    r"\bwhoever\b": "users, the caller",
    r"\bspeaks? of\b": "refers to",
    # quantities
    r"\bmost (?!recent|frequent|common)\w+ an? \w+": "maximum ... per ...",
    r"\bused up\b": "exhausted",
    r"\breckon(s|ed|ing)?\b": "counted, considered",
    # time
    r"\bnot over\b": "incomplete",
    r"\bfor ever\b": "forever",
    r"\bgo(es)? no further\b": "is never inserted",
    r"\bforetells?\b|\bforetold\b": "estimates",
    # errors
    r"\bunforeseen\b": "unexpected",
    r"\b(a|our) mistake of\b|\bmistake of this\b": "a bug",
    r"\bupside down\b": "reversed",
    # possession
    r"\buser's own\b|\bone's own\b|\bof (y)?our own\b": "ad-hoc, custom",
    r"\bto be had\b": "available",
    r"\bnothing (that )?(is|was) not so\b": "correct",
}
"""Pattern -> what to write instead."""


def texts(path: Path) -> Iterator[tuple[Path, str]]:
    """The files at a path and their texts on one line, so that phrases match across lines."""
    files = [path] if path.is_file() else sorted([*path.rglob("*.py"), *path.rglob("*.md")])
    for file in files:
        without_marks = re.sub(r"(?m)^[ \t]*(#|>|- )[ \t]*", "", file.read_text(encoding="utf-8"))
        yield file, re.sub(r"\s+", " ", without_marks)


def find_phrases(text: str) -> list[str]:
    """The phrases in a text, with some words around each and what to write instead."""
    return [
        f"...{text[max(0, match.start() - 40) : match.end() + 20]}...: {instead}"
        for pattern, instead in PHRASES.items()
        for match in re.finditer(pattern, text, re.IGNORECASE)
    ]


@pytest.mark.parametrize("name", PLAIN)
def test_english_is_plain(name: str) -> None:
    """None of the phrases is in the files."""
    path = ROOT / name
    assert path.exists()
    found = [f"{file}: {phrase}" for file, text in texts(path) for phrase in find_phrases(text)]
    assert found == [], "\n".join(found)


def test_phrases_match_across_lines(tmp_path: Path) -> None:
    """A phrase broken by a line end, in a comment or in a docstring, is still found."""
    (tmp_path / "module.py").write_text(
        "# a day that is\n# not over, and the most\n# rows a file\n"
    )
    ((_, text),) = texts(tmp_path)
    assert len(find_phrases(text)) == 2
