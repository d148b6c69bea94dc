"""Tables that are loaded part by part: one cohort, group type or report after another."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import dlt
from dlt.common.typing import TDataItems

from ..errors import AuthError, CancelledError, MixpanelError, PausedError, PlanError
from .context import LoadContext
from .package import LoadPackage, TablePart

logger = logging.getLogger("mixpanel_source")

Part = TypeVar("Part")
LOADED_AT = "loaded_at"
"""State of the resource: when each part was loaded last, seconds since the epoch."""


def iter_parts(
    context: LoadContext,
    package: LoadPackage,
    parts: Iterable[tuple[str, Part]],
    load: Callable[[Part], Iterator[TDataItems]],
) -> Iterator[TDataItems]:
    """Yields the items of one part after another; a part that fails does not stop the others.

    The parts loaded longest ago come first. So if the quota never allows all of them in one run,
    each still has its turn.

    Args:
        context: of the run.
        package: receives the parts that fail; ends between two parts.
        parts: name and argument of `load`, for each part; those this run has loaded are skipped.
        load: fetches a part completely, then yields its items and adds it to the package. Must not
            fail once it has yielded.

    Raises:
        AuthError: the account is unknown, so every part would fail.
        PlanError: the plan does not include the API, so every part would fail.
    """
    loaded_at: dict[str, float] = dlt.current.resource_state().setdefault(LOADED_AT, {})
    for name, part in sorted(parts, key=lambda named: loaded_at.get(named[0], 0.0)):
        if TablePart(package.table, name) in context.record.parts:
            continue
        if context.is_checkpoint_due(package):
            return
        try:
            yield from load(part)
            loaded_at[name] = context.clock.time()
        except (AuthError, PlanError):
            raise
        except (CancelledError, PausedError) as failure:
            if not package.end_with(failure):
                raise
            return
        except MixpanelError as failure:
            if not package.leave_out(name, failure):
                raise
            logger.warning("%s The other parts continue.", failure)
