"""How the columns of properties are masked, as `_mixpanel_columns` records it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..config.masking import UNMASKED, hash_text
from ..config.model import Config
from ..decode.columns import StoredColumn
from ..decode.masking import DROP, HASH, Mask

MASK_STATE, DROPPED_STATE = "mask", "dropped"
"""State of a resource: the version of the mask that its columns are recorded with, and the
properties that it leaves out."""
MASKED_BY = "masked_by"
"""Column of `_mixpanel_columns`; it is created with the first mask."""


def build_mask(config: Config) -> Mask:
    """The configured mask."""
    return Mask(dict(config.mask), (config.mask_key or "").encode())


def is_recorded(config: Config, state: dict[str, Any]) -> bool:
    """Whether the columns of a table are recorded with the mask of this run."""
    recorded: str = state.get(MASK_STATE, UNMASKED)
    return recorded == config.mask_version


def describe_columns(
    columns: Iterable[StoredColumn], config: Config, state: dict[str, Any]
) -> list[dict[str, Any]]:
    """Columns as rows of `_mixpanel_columns`, and the mask recorded in `state`.

    Args:
        columns: to describe.
        config: the settings.
        state: of the resource.
    """
    mask = build_mask(config)
    dropped = sorted(name for name in mask.names if mask.rule_of(name) == DROP)
    # a property that is left out is in no column, and is recorded all the same
    left_out = {*dropped, *state.get(DROPPED_STATE, ())} if not is_recorded(config, state) else ()
    if not is_recorded(config, state) or mask:
        state[MASK_STATE], state[DROPPED_STATE] = config.mask_version, dropped
    described = [*columns, *(StoredColumn(name, "", "") for name in sorted(left_out))]
    if MASK_STATE not in state:
        return [column._asdict() for column in described]
    return [
        {**column._asdict(), MASKED_BY: _masked_by(mask, column.property, config)}
        for column in described
    ]


def _masked_by(mask: Mask, name: str, config: Config) -> str | None:
    rule = mask.rule_of(name)
    return hash_text(config.mask_key) if rule == HASH else rule
