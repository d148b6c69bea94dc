"""What a reply says of itself: the days it covers, its breakdowns, and whether it is complete.

Pure. Sources: https://developer.mixpanel.com/reference/insights-query, and for `meta` replies that
users published.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Any, NamedTuple

from ...decode.reply_values import is_number, to_float
from .insights_shape import headers_of
from .rows import ReportQuery
from .shapes import SAVED, days_of

_SAMPLING = "min_sampling_factor"
_LIMIT = re.compile("limit_hit|limit_reached|truncated")


class ReplyFacts(NamedTuple):
    """What a reply says of itself."""

    days: list[date]
    """The days that it covers, with or without numbers for them."""
    breakdowns: list[str] | None
    """The properties that a saved report is broken down by, if it names them."""
    limits: list[str]
    """Flags of Mixpanel that say that segments are missing."""
    sampling: float = 1.0
    """The share of users that the numbers were estimated from."""


def facts_of(reply: object, query: ReportQuery) -> ReplyFacts:
    """What a reply says of itself.

    Raises:
        ReplyError: the reply has another shape than its endpoint documents.
    """
    headers = headers_of(reply) if query.table in SAVED else None
    # the first level is the metric, for which Mixpanel has several names
    breakdowns = None if headers is None else headers[1:]
    limits = sorted({*_iter_limits(reply)})
    return ReplyFacts(days_of(reply, query), breakdowns, limits, _sampling(reply))


def _iter_limits(reply: object) -> Iterator[str]:
    """The flags that are set, beside the numbers and in `meta`; elsewhere names are the user's."""
    if isinstance(reply, dict):
        yield from _set_flags(reply)
        meta = reply.get("meta")
        yield from _set_flags(meta) if isinstance(meta, dict) else ()


def _sampling(reply: object) -> float:
    meta = reply.get("meta") if isinstance(reply, dict) else None
    factor = meta.get(_SAMPLING) if isinstance(meta, dict) else None
    return to_float(factor) if is_number(factor) else 1.0


def _set_flags(facts: dict[str, Any]) -> Iterator[str]:
    return (name for name, value in facts.items() if value is True and _LIMIT.search(name))
