"""Turns figures into Markdown."""

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
    "rows",
)


def ratio(part: float, whole: float | None) -> str:
    """`part / whole` for people; empty if there is nothing to compare with."""
    if not part or not whole:
        return ""
    value = part / whole
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"  # noqa: PLR2004 - two digits are enough


def table(
    figures: Sequence[Figures], contenders: Mapping[str, Contender], *, ours: str, size: int
) -> str:
    """A Markdown table of the contenders on data of one size.

    Args:
        figures: of all sizes.
        contenders: by name.
        ours: whose time the others' is set against.
        size: events.
    """
    rows = [own for own in figures if own.events == size]
    by_name = {own.contender: own for own in rows if own.runs}
    limit, us = by_name.get(LIMIT_NAME), by_name.get(ours)
    lines = [_line(_HEADINGS), _line(["---", "---", *["---:"] * 6, "---"])]
    for own in rows:
        contender = contenders[own.contender]
        compared = not contender.profiles
        lines.append(
            _line(
                (
                    own.contender,
                    contender.does,
                    _span(own),
                    f"{own.speed:,.0f}" if own.runs else "",
                    ratio(own.speed, limit.speed if limit and compared else None),
                    ratio(own.seconds, us.seconds if us and compared else None),
                    f"{own.cpu_seconds:.1f}" if own.runs else "",
                    f"{own.peak_bytes / 1e6:,.0f}" if own.runs else "",
                    "right" if own.right else own.remark,
                )
            )
        )
    return "\n".join(lines)


def notes(contenders: Iterable[Contender], reasons: Mapping[str, str]) -> str:
    """What each contender does less, and which could not be run."""
    less = [f"- `{one.name}` does less: {one.less}." for one in contenders if one.less]
    return "\n".join([*less, *(f"- {reason}" for reason in reasons.values())])


def marks(name: str) -> tuple[str, str]:
    """What stands before and after the results of that name."""
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def put_between_marks(text: str, name: str, part: str) -> str:
    """`text` with what is between the marks of a name replaced by `part`.

    Raises:
        ValueError: if the marks are not there.
    """
    first, last = marks(name)
    head, begin, rest = text.partition(first)
    _, end, tail = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"no {first} with an {last} after it")
    return f"{head}{first}\n\n{part.strip()}\n\n{last}{tail}"


def _span(own: Figures) -> str:
    if not own.runs:
        return ""
    if own.runs == 1:
        return f"{own.seconds:.1f}"
    return f"{own.seconds:.1f} ({own.fastest:.1f} to {own.slowest:.1f})"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
