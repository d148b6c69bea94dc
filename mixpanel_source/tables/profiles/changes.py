"""Which profiles of a dump have changed, so that a job writes only these.

The table itself tells what it holds, whatever happened to it meanwhile: its column `profile_key` is
a digest of the whole profile. A profile whose key is
stored is unchanged. Stored keys that no profile has are those of profiles before they changed, and
of deleted profiles: their rows go.

To know its key, a profile has to be decoded and put into a canonical order, which takes longer than
anything else that is done to it. So the keys are kept in a file on this machine, by the digests of
the lines as Mixpanel sent them. Without the file all profiles are written.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import dlt
import numpy as np
from dlt.common.typing import TDataItems
from numpy.typing import NDArray

from ... import constants
from ...config.model import Config
from ...decode.decoded import Decoded
from ...decode.forgotten import ForgottenIds
from ...decode.index.identity import ProfileIdentifier
from ...decode.json_values import content_digest
from ...decode.layout import ENGAGE_SCHEMA, Layout, engage_layout
from ...decode.verify import VerifiedWindow, verify
from ...destinations.registry import destination_of, target_of
from ...destinations.replacement import Replacement
from ..context import LoadContext
from ..dlt_items import with_hints
from ..emit import TableFormat, build_reader, iter_items
from ..load_log import WindowLoad
from ..package import LoadPackage
from ..spool.files import SelectedRows
from .digests import (
    Digests,
    KnownKeys,
    as_digests,
    find_digests,
    has_repeats,
    parse_digests,
    sort_digests,
    to_hex,
)
from .dump import ProfileDump

logger = logging.getLogger("mixpanel_source")

KEY = "profile_key"
WRITTEN = "written"
"""State of the resource: when the profiles of the last load were read, and how it wrote rows."""
REPLACE_CHANGED = Replacement(scope=(KEY,), keep="distinct_id")
_MAX_SHARE = 0.1
"""Maximum share of rows that are written or deleted; beyond it replacing all rows is faster."""
_KEYS_AT_ONCE = 100_000


class _Changes(NamedTuple):
    """How a dump differs from the table."""

    written: NDArray[np.int64]
    """Positions of the profiles to write, ascending."""
    unchanged: NDArray[np.int64]
    """Positions of the others."""
    keys: Digests
    """The keys of the unchanged profiles."""
    stored: Digests
    """The keys in the table, sorted."""


class _ChangedRows(NamedTuple):
    """The profiles to write; see `emit.VerifiedRows`."""

    spooled: SelectedRows
    verified: VerifiedWindow


class ProfileWriter:
    """Writes the profiles of the table `engage`: those that have changed, or all of them."""

    def __init__(
        self,
        context: LoadContext,
        package: LoadPackage,
        state: dict[str, Any],
        *,
        read_at: float | None,
    ) -> None:
        """Prepare a load, from within the resource.

        Args:
            context: of the run.
            package: that the profiles are for.
            state: of the resource.
            read_at: when the stored profiles were read, in seconds since the epoch.
        """
        self._context = context
        self._pipeline = dlt.current.pipeline()
        self._state = state
        self._format = _describe_format(context.config, context.forgotten)
        self._is_comparable = (
            package.loss is not None
            and not package.loss.tables
            and state.get(WRITTEN) == [read_at, self._format]
        )
        """Whether a row with the key of a profile is what would be written for it."""
        self.compares = (
            # a script may have given the resource another write disposition
            context.checkpoint is not None
            and context.from_archive is None
            and not context.config.engage_full_days
            # every profile has to be decoded to tell which masked properties there are
            and not context.config.mask
            and destination_of(self._pipeline).updates_rows
        )
        """Whether changes can be told from digests of the lines."""

    def iter_items(
        self, dump: ProfileDump, table_format: TableFormat, load: WindowLoad
    ) -> Iterator[TDataItems]:
        """Yields rows and tombstones as items for dlt, and counts the rows of the table in `load`.

        Args:
            dump: all profiles, with digests of their lines if `compares`.
            table_format: how profiles become rows of the table.
            load: the entry of the load log.
        """
        rows = len(dump.verified.index)
        if not self.compares or not _is_compared(rows):
            if self._context.config.mask:
                # digests of unmasked profiles
                self._file.unlink(missing_ok=True)
            yield from iter_items(dump, table_format, load)
            return
        lines = as_digests(np.concatenate(dump.verified.digests))
        recorder = _KeyRecorder(rows)
        changes = self._find_changes(dump, lines) if self._is_comparable else None
        if changes is None:
            laying = table_format._replace(lay=recorder.lay)
            yield from iter_items(dump, laying, load)
        else:
            yield from self._iter_changes(changes, dump, recorder, table_format, load)
        # without the file only the next load takes longer
        with suppress(OSError):
            recorder.known_keys(lines).write(self._file)
        self._state[WRITTEN] = [dump.spooled.fetched_at, self._format]

    @property
    def _file(self) -> Path:
        return target_of(self._pipeline).profile_keys_file

    def _find_changes(self, dump: ProfileDump, lines: Digests) -> _Changes | None:
        """The changes, given the digest of each line; None if all profiles are to be written."""
        known = KnownKeys.read(self._file)
        if known is None:
            return None
        try:
            stored = sort_digests(_read_stored_keys(self._pipeline))
        except ValueError:
            # a row was added by hand: only a replacement of all rows makes it go
            return None
        # or copied
        if has_repeats(stored):
            return None
        present = dump.verified.index.present()
        places = find_digests(lines[present], within=known.lines)
        is_known = places >= 0
        keys = known.keys[places[is_known]]
        is_unchanged = is_known.copy()
        is_unchanged[is_known] = is_stored = find_digests(keys, within=stored) >= 0
        changes = _Changes(present[~is_unchanged], present[is_unchanged], keys[is_stored], stored)
        most = _MAX_SHARE * max(len(present), len(stored))
        too_many = max(len(changes.written), len(stored) - len(changes.unchanged)) > most
        return None if too_many else changes

    def _iter_changes(
        self,
        changes: _Changes,
        dump: ProfileDump,
        recorder: _KeyRecorder,
        table_format: TableFormat,
        load: WindowLoad,
    ) -> Iterator[TDataItems]:
        recorder.put(changes.unchanged, changes.keys)
        if len(changes.written):
            selected = SelectedRows(dump.spooled, changes.written, len(dump.verified.index))
            reader = build_reader(self._context.config, ProfileIdentifier())
            rows = _ChangedRows(selected, verify(selected.row_blocks(), reader))
            lay = partial(recorder.lay, positions=changes.written)
            writing = table_format._replace(lay=lay, replacement=REPLACE_CHANGED)
            yield from iter_items(rows, writing, load)
        logger.info(
            "engage: %s of %s profiles have changed; only these are written.",
            f"{load.rows:,}",
            f"{load.rows + len(changes.unchanged):,}",
        )
        load.rows += len(changes.unchanged)
        kept = sort_digests(recorder.keys)
        gone = changes.stored[find_digests(changes.stored, within=kept) < 0]
        if len(gone):
            tombstones = REPLACE_CHANGED.tombstones(ENGAGE_SCHEMA, **{KEY: to_hex(gone)})
            yield with_hints(tombstones, json_columns=(), replacement=REPLACE_CHANGED)


class _KeyRecorder:
    """The keys of the profiles of a dump, as far as they are known."""

    def __init__(self, rows: int) -> None:
        self._keys = np.zeros((rows, 2), np.uint64)
        self._is_known = np.zeros(rows, np.bool_)

    def put(self, positions: NDArray[np.int64], keys: Digests) -> None:
        """Record the keys of the profiles at `positions`."""
        self._keys[positions] = keys
        self._is_known[positions] = True

    def lay(self, decoded: Decoded, positions: NDArray[np.int64] | None = None) -> Layout:
        """Lay out profiles as `engage_layout` does, and record their keys.

        Args:
            decoded: with digests.
            positions: for each position of `decoded` that in the dump; the same if not given.
        """
        own = np.asarray(decoded.positions)
        digests = decoded.digests.to_pylist() if decoded.digests is not None else []
        self.put(own if positions is None else positions[own], parse_digests(digests))
        return engage_layout(decoded)

    @property
    def keys(self) -> Digests:
        """The known keys."""
        return self._keys[self._is_known]

    def known_keys(self, lines: Digests) -> KnownKeys:
        """The known keys by the digest of each line."""
        return KnownKeys.of(lines[self._is_known], self.keys)


def _is_compared(rows: int) -> bool:
    return constants.COMPARED_PROFILES_MIN <= rows <= constants.COMPARED_PROFILES_MAX


def _describe_format(config: Config, forgotten: ForgottenIds) -> str:
    """A digest of what decides, beside the profile, whether it has a row and how that looks."""
    parts = [
        version("mixpanel-source"),
        config.properties,
        config.max_columns,
        config.profile_filters,
        forgotten.digest(),
    ]
    return content_digest(parts).hex()


def _read_stored_keys(pipeline: dlt.Pipeline) -> Digests:
    """The keys of all rows of the table.

    Raises:
        ValueError: a row has none.
    """
    chunks: list[Digests] = []
    with destination_of(pipeline).connect() as job_client:
        client: Any = job_client.sql_client if job_client else None
        name = client.make_qualified_table_name("engage")
        with client.execute_query(f"SELECT {KEY} FROM {name}") as cursor:  # noqa: S608 - our own names
            while rows := cursor.fetchmany(_KEYS_AT_ONCE):
                # null is no key
                chunks.append(parse_digests([key or "" for (key,) in rows]))
    return np.concatenate([np.empty((0, 2), np.uint64), *chunks])
