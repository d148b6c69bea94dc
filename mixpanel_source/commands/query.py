"""Read-only SQL over the loaded data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from ..destinations.base import Destination
from ..destinations.queries import Queries
from ..destinations.registry import destination_of
from ..errors import ConfigError
from ..jobs.dlt_errors import destination_errors
from ..jobs.pipeline import make_pipeline
from ..sql import quote_text


def open_queries(destination: str, *, dataset: str, name: str) -> Queries:
    """Queries over the dataset of a pipeline.

    Raises:
        ConfigError: the destination cannot be queried, does not exist or has no credentials.
    """
    return open_dataset(destination, dataset=dataset, name=name).queries


class ReadableDataset(NamedTuple):
    """A dataset that can be queried."""

    queries: Queries
    comments_query: str
    """Query for table, column and comment of each of its columns."""
    file: Path | None
    """DuckDB file that holds it; None if it is in a server."""


def open_dataset(destination: str, *, dataset: str, name: str) -> ReadableDataset:
    """The same, with the query for comments on columns."""
    with _find_destination(destination, dataset=dataset, name=name) as target:
        queries = target.open_queries()
        comments = target.comments_query or ""
        comments = comments.format(schema=quote_text(queries.schema))
        return ReadableDataset(queries, comments, target.database_file)


def find_file(destination: str, *, dataset: str, name: str) -> Path:
    """The DuckDB file that a pipeline loads into.

    Raises:
        ConfigError: it loads into something else, or there is no file yet.
    """
    with _find_destination(destination, dataset=dataset, name=name) as target:
        file = target.database_file
    if file is None:
        raise ConfigError(f"{destination} has no database file. Use a client of {destination}.")
    return find_existing(file)


def find_existing(file: Path) -> Path:
    """The file.

    Raises:
        ConfigError: it does not exist.
    """
    if not file.exists():
        raise ConfigError(
            f"There is no file {file} yet. Run mixpanel-source sync, or mixpanel-source demo for "
            "made-up data."
        )
    return file


@contextmanager
def _find_destination(destination: str, *, dataset: str, name: str) -> Iterator[Destination]:
    # a working directory of its own: reading must not change the pipeline's local state
    with (
        TemporaryDirectory(prefix="mixpanel-query-") as directory,
        destination_errors(destination),
    ):
        pipeline = make_pipeline(name, destination, dataset, working_directory=directory)
        try:
            # missing packages or credentials are reported here, as what they are
            pipeline.destination_client()
            yield destination_of(pipeline)
        finally:
            pipeline.deactivate()
