"""Formats figures as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from .contenders import Contender
from .records import Figures

LIMIT_NAME = "limit"
_HEADINGS = (
    "contender",
    "does",
    "seconds (min to max)",
    "events/s",
    "of the limit's speed",
    "time to ours",
    "CPU s",
    "peak MB",
    "stored MB",
    "rows",
)


def ratio(part: float, whole: float | None) -> str:
    """Format `part / whole` with two or three digits; empty if either is missing."""
    if not part or not whole:
        return ""
    value = part / whole
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"  # noqa: PLR2004 - from 10 on without decimals


def table(
    figures: Sequence[Figures], contenders: Mapping[str, Contender], *, ours: str, size: int
) -> str:
    """Return a Markdown table of the contenders on data of one size.

    Args:
        figures: Figures of all sizes.
        contenders: Contenders by name.
        ours: The contender that times are relative to.
        size: Number of events.
    """
    rows = [row for row in figures if row.events == size]
    by_name = {row.contender: row for row in rows if row.runs}
    limit, us = by_name.get(LIMIT_NAME), by_name.get(ours)
    lines = [_line(_HEADINGS), _line(["---", "---", *["---:"] * 7, "---"])]
    for row in rows:
        contender = contenders[row.contender]
        compared = not contender.profiles
        lines.append(
            _line(
                (
                    row.contender,
                    contender.description,
                    _span(row),
                    f"{row.speed:,.0f}" if row.runs else "",
                    ratio(row.speed, limit.speed if limit and compared else None),
                    ratio(row.seconds, us.seconds if us and compared else None),
                    f"{row.cpu_seconds:.1f}" if row.runs else "",
                    f"{row.peak_bytes / 1e6:,.0f}" if row.runs else "",
                    f"{row.stored_bytes / 1e6:,.0f}" if row.stored_bytes else "",
                    "right" if row.correct else row.remark,
                )
            )
        )
    return "\n".join(lines)


def notes(contenders: Iterable[Contender], reasons: Mapping[str, str]) -> str:
    """Return notes on what each contender omits, and on those that could not be run."""
    omits = [f"- `{each.name}` does less: {each.omits}." for each in contenders if each.omits]
    return "\n".join([*omits, *(f"- {reason}" for reason in reasons.values())])


def marks(name: str) -> tuple[str, str]:
    """Return the lines that surround the results of that name in a Markdown file."""
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def put_between_marks(text: str, name: str, part: str) -> str:
    """Return `text` with `part` between the marks of a name.

    Raises:
        ValueError: The marks are missing.
    """
    first, last = marks(name)
    head, begin, rest = text.partition(first)
    _, end, tail = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"{first}, followed by {last}, is missing")
    return f"{head}{first}\n\n{part.strip()}\n\n{last}{tail}"


def _span(row: Figures) -> str:
    if not row.runs:
        return ""
    if row.runs == 1:
        return f"{row.seconds:.1f}"
    return f"{row.seconds:.1f} ({row.fastest:.1f} to {row.slowest:.1f})"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
