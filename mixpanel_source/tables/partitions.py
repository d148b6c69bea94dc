"""Tables that are loaded part by part: a cohort, a group type or a report after the other."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import dlt
from dlt.common.typing import TDataItems

from ..errors import AuthError, CancelledError, MixpanelError, PausedError, PlanError
from .context import Job

logger = logging.getLogger("mixpanel_source")

Part = TypeVar("Part")
LOADED_AT = "loaded_at"
"""What the state remembers: when each part was loaded last, seconds since the epoch."""


def iter_parts(
    job: Job,
    table: str,
    parts: Iterable[tuple[str, Part]],
    load: Callable[[Part], Iterator[TDataItems]],
) -> Iterator[TDataItems]:
    """Yields the items of one part after the other; one that fails does not stop the others.

    First come those that were loaded longest ago, so that where the quota is never enough for all
    of them in one run, each has its turn.

    Args:
        job: is told of parts that failed; ends packages between two parts.
        table: name of the table.
        parts: name and what `load` takes, for each; those this job has loaded are left out.
        load: fetches a part whole, then yields its items and reports it. Once it has yielded it
            must not fail.

    Raises:
        AuthError: the account is unknown, so every part would fail.
        PlanError: the plan does not include the API, so every part would fail.
    """
    loaded_at: dict[str, float] = dlt.current.resource_state().setdefault(LOADED_AT, {})
    for name, part in sorted(parts, key=lambda named: loaded_at.get(named[0], 0.0)):
        if (table, name) in job.done:
            continue
        if job.is_checkpoint_due():
            return
        try:
            yield from load(part)
            loaded_at[name] = job.clock.time()
        except (AuthError, PlanError):
            raise
        except (CancelledError, PausedError) as failure:
            if not job.hold(failure):
                raise
            return
        except MixpanelError as failure:
            if not job.leave_out(table, name, failure):
                raise
            logger.warning("%s The others go on.", failure)
