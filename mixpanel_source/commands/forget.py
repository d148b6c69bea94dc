"""Removes persons from everything that is loaded, and keeps them from being loaded again."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone

import dlt
from dlt.destinations.exceptions import DatabaseException, DestinationConnectionError

from .. import constants
from ..api.clock import Clock
from ..config.masking import hash_text
from ..config.projects import project_of
from ..config.providers import load_mask
from ..decode.masking import HASH, ID, Mask
from ..destinations.registry import destination_of, find_names, target_of
from ..errors import ConfigError, MixpanelError
from ..jobs.dlt_errors import destination_errors
from ..jobs.lock import dataset_lock
from ..jobs.pipeline import open_pipeline, reset_local_state
from ..tables.context import clear_spool
from ..tables.forgotten_ids import remember_forgotten
from ..tables.load_log import LOADS_TABLE
from .person_rows import PersonRows


@dataclass(frozen=True)
class ForgetResult:
    """What was removed."""

    rows: Mapping[str, int]
    """Table -> rows removed; all tables that have a column `distinct_id`."""
    remembered: int
    """Number of ids that were not remembered before."""


def forget(
    ids: Iterable[str],
    *,
    destination: str = "duckdb",
    dataset: str = constants.DATASET_NAME,
    name: str = constants.PIPELINE_NAME,
    clock: Clock = time,
) -> ForgetResult:
    """Remove persons from every table, and remember them so that no load brings them back.

    Removes, in one transaction, the rows whose `distinct_id` is one of the ids, or that have one in
    a property such as `$device_id` or `$user_id`. The table `_mixpanel_forgotten` remembers the
    ids, as salted hashes. Makes no request; what Mixpanel holds stays there.

    Args:
        ids: every id of the persons: a person may have several, such as those of devices.
        destination: name of a dlt destination from which rows can be deleted, such as `postgres`.
        dataset: the dataset, or schema, of the tables.
        name: of the pipeline that loads them.
        clock: the current time.

    Raises:
        ConfigError: no id, or one that is empty or not text that a database stores; rows of the
            destination cannot be deleted; the dataset does not exist; its ids are hashed with
            another `mask_key` than the configured one.
        BusyError: a job is loading into the dataset, or the database is open in another process.
        MixpanelError: the destination cannot be reached, or refuses the deletion, or the
            connection is lost; then it is safe to repeat.
    """
    persons = _check_ids(ids)
    pipeline = open_pipeline(destination, dataset=dataset, name=name)
    with dataset_lock(pipeline), destination_errors(destination):
        _check_destination(pipeline)
        # what is on disk here goes first: if the deletion fails, it is only fetched again
        clear_spool(pipeline)
        target_of(pipeline).profile_keys_file.unlink(missing_ok=True)
        # includes the load packages, which keep their files after they are loaded
        reset_local_state(pipeline)
        return _forget(pipeline, persons, datetime.fromtimestamp(clock.time(), timezone.utc))


def _check_ids(ids: Iterable[str]) -> list[str]:
    persons = [ids] if isinstance(ids, str) else [*dict.fromkeys(map(str, ids))]
    if not persons:
        raise ConfigError("No id was given. Give the distinct_id of each person to forget.")
    if not all(map(_is_storable, persons)):
        raise ConfigError(
            "An id is empty, or has a character that is not valid text. Give ids as the column "
            "distinct_id has them."
        )
    return persons


def _is_storable(person_id: str) -> bool:
    # of a line that is not valid UTF-8 Python makes surrogates
    return person_id != "" and not any(c == "\0" or "\ud800" <= c <= "\udfff" for c in person_id)


def _with_hashes(persons: list[str], hashed_by: set[str], pipeline: str) -> list[str]:
    """The ids as the dataset may have them: as they are, and hashed as `mask` says.

    Args:
        persons: the ids.
        hashed_by: the keys of hashes in the dataset, hashed.
        pipeline: name of the pipeline, whose project may have a mask of its own.

    Raises:
        ConfigError: the dataset has ids that are hashed with another key.
    """
    project = project_of(pipeline)
    rules, key = load_mask({} if project is None else project.settings)
    if hashed_by - {hash_text(key)}:
        raise ConfigError(
            "mask_key is not the one that ids in the dataset are hashed with, so persons cannot be "
            "found by their ids. Set it in [sources.mixpanel] of .dlt/secrets.toml."
        )
    if key is None:
        return persons
    # every id may be hashed, also after mask was changed
    mask = Mask({ID: HASH, **dict(rules)}, key.encode())
    return [*persons, *map(mask.mask_id, persons)]


def _check_destination(pipeline: dlt.Pipeline) -> None:
    target = destination_of(pipeline)
    if not target.deletes_rows:
        supported = find_names(lambda kind: kind.deletes_rows)
        raise ConfigError(
            f"destination {pipeline.destination.destination_name} does not support forget, which "
            f"deletes rows with SQL. Supported are {', '.join(supported)}. Delete the person with "
            "the tools of the destination."
        )
    if not target.exists:
        raise _nothing_loaded(pipeline)


def _nothing_loaded(pipeline: dlt.Pipeline) -> ConfigError:
    return ConfigError(
        f"There is nothing in the dataset {pipeline.dataset_name} to forget anyone from. Give "
        "the destination, dataset and pipeline that a sync loads."
    )


def _forget(pipeline: dlt.Pipeline, persons: list[str], now: datetime) -> ForgetResult:
    target = destination_of(pipeline)
    try:
        with pipeline.sql_client() as client:
            rows = PersonRows(client, json_member=target.json_member, table_type=target.table_type)
            if not rows.has_table(LOADS_TABLE):
                raise _nothing_loaded(pipeline)
            stored = _with_hashes(persons, rows.hashed_by(), pipeline.pipeline_name)
            with client.begin_transaction():
                removed = rows.delete(stored)
                remembered = remember_forgotten(client, persons, now=now)
        target.erase_deleted()
        return ForgetResult(removed, remembered)
    except DestinationConnectionError as error:
        raise target.connection_error(error) from error
    except DatabaseException as error:
        # only the type: the text may contain an id
        raise MixpanelError(
            f"The destination did not delete the rows ({type(error).__name__}). Its user may lack "
            "the permission, or the connection was lost. Run again: it is safe to repeat."
        ) from error
