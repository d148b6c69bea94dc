"""Where rows come from: files, standard input, and tables or queries of a database."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Full, Queue
from threading import Event, Thread
from typing import Any, BinaryIO

import msgspec

from mixpanel_source.errors import ConfigError, MixpanelError
from mixpanel_source.sql import quote_name, quote_text

from ..rows.objects import ColumnMap, to_line

STDIN = "-"
LINES = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz", ".json")
PARQUET = ".parquet"
FETCH_ROWS = 5_000
CHUNKS_AHEAD = 2
HEAD_BYTES = 64
POLL_S = 0.2


@dataclass(frozen=True)
class Database:
    """Where tables and queries are read."""

    destination: str = "duckdb"
    """A dlt destination with SQL."""
    dataset: str = "mixpanel"
    pipeline: str = "mixpanel"


@dataclass(frozen=True)
class Input:
    """The rows to write, which can be read once."""

    source: str
    """A file, a directory of files, `-`, a table or a query."""
    database: Database = field(default_factory=Database)

    @property
    def is_file(self) -> bool:
        """Whether the rows come from a file or standard input."""
        return self.source == STDIN or _is_file(self.source)

    def lines(self) -> Iterator[bytes]:
        """The rows, each as JSON on one line.

        Raises:
            ConfigError: there is no such file or table.
            MixpanelError: it cannot be read.
        """
        if self.source == STDIN:
            return _lines(sys.stdin.buffer)
        if self.is_file:
            return _read_path(Path(self.source))
        return _on_own_thread(_read_database(self.source, self.database))


def _is_file(source: str) -> bool:
    has_suffix = source.lower().endswith((*LINES, PARQUET))
    return not _is_query(source) and (has_suffix or Path(source).exists())


def _is_query(source: str) -> bool:
    words = source.split(maxsplit=1)
    return len(words) > 1 and words[0].lower() in ("select", "with", "from")


def _read_path(path: Path) -> Iterator[bytes]:
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.name.endswith((*LINES, PARQUET)))
        if not files:
            raise ConfigError(
                f"The directory {path} has no file of {', '.join((*LINES, PARQUET))}."
            )
        for file in files:
            yield from _read_file(file)
        return
    yield from _read_file(path)


def _read_file(path: Path) -> Iterator[bytes]:
    try:
        if path.name.endswith(PARQUET):
            yield from _read_parquet(path)
        elif path.name.endswith(".gz"):
            with gzip.open(path) as file:
                yield from _lines(file)
        else:
            with path.open("rb") as file:
                is_list = file.read(HEAD_BYTES).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
                file.seek(0)
                yield from _items(file.read()) if is_list else _lines(file)
    except FileNotFoundError:
        raise ConfigError(f"There is no file {path}.") from None
    except (OSError, EOFError) as error:
        what = getattr(error, "strerror", None) or "it is damaged or cut off"
        raise MixpanelError(f"The file {path} cannot be read: {what}.") from error


def _lines(file: BinaryIO | gzip.GzipFile) -> Iterator[bytes]:
    """The lines of JSON in a file, without blank ones."""
    for line in file:
        stripped = line.strip().removeprefix(b"\xef\xbb\xbf")
        if stripped:
            yield stripped


def _items(text: bytes) -> Iterator[bytes]:
    """The items of a JSON list, as they are written.

    Raises:
        MixpanelError: it is not JSON.
    """
    try:
        raws = msgspec.json.decode(text.removeprefix(b"\xef\xbb\xbf"), type=list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MixpanelError("The input begins like a JSON list, but is not one.") from error
    yield from map(bytes, raws)


def _read_parquet(path: Path) -> Iterator[bytes]:
    import pyarrow as pa  # noqa: PLC0415 - slow to load
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(FETCH_ROWS):
                yield from map(to_line, batch.to_pylist())
    except pa.ArrowInvalid as error:
        raise MixpanelError(f"The file {path} is not a Parquet file.") from error


def _read_database(source: str, database: Database) -> Iterator[list[bytes]]:
    from dlt.common.destination.exceptions import DestinationException  # noqa: PLC0415 - slow
    from dlt.destinations.exceptions import DatabaseException  # noqa: PLC0415

    from mixpanel_source import open_pipeline  # noqa: PLC0415

    pipeline = open_pipeline(database.destination, dataset=database.dataset, name=database.pipeline)
    try:
        with pipeline.sql_client() as client:
            if _is_query(source):
                yield from _read_query(client, source)
                return
            parts = source.split(".")
            name = ".".join(map(quote_name, parts))
            if len(parts) == 1:
                name = client.make_qualified_table_name(source)
            sql = f"SELECT * FROM {name}"  # noqa: S608 - quoted above
            yield from _read_query(client, sql, _column_map(client, source))
    except (DatabaseException, DestinationException) as error:
        what = "The query" if _is_query(source) else f"The table {source}"
        said = str(error).strip().splitlines()[0].rstrip(".")
        raise MixpanelError(
            f"{what} cannot be read from {database.destination}, dataset {database.dataset}: "
            f"{said}. Check --from, --destination and --dataset; a file has a name that ends with "
            f"{', '.join((*LINES, PARQUET))}."
        ) from error


def _column_map(client: Any, table: str) -> ColumnMap | None:  # noqa: ANN401 - a client of dlt
    """The columns of a table of `mixpanel_source`; None if the table is not one."""
    from dlt.destinations.exceptions import DatabaseException  # noqa: PLC0415 - slow to load

    columns = client.make_qualified_table_name("_mixpanel_columns")
    sql = (
        f"SELECT property, column_name, data_type FROM {columns} "  # noqa: S608 - quoted by dlt
        f"WHERE table_name = {quote_text(table)}"
    )
    try:
        found = client.execute_sql(sql)
    except DatabaseException:
        return None
    return ColumnMap(found) if found else None


def _read_query(
    client: Any,  # noqa: ANN401 - a client of dlt
    sql: str,
    known: ColumnMap | None = None,
) -> Iterator[list[bytes]]:
    with _open_cursor(client, sql) as cursor:
        rows = cursor.fetchmany(FETCH_ROWS)
        columns = [column[0] for column in cursor.description]
        # a column with all properties as JSON is exact, the others are not always
        is_exact = known is None or ("properties" in columns and not known.has("properties"))
        convert = to_line if known is None or is_exact else known.to_line
        while rows:
            yield [convert(dict(zip(columns, row, strict=True))) for row in rows]
            rows = cursor.fetchmany(FETCH_ROWS)


@contextmanager
def _open_cursor(client: Any, sql: str) -> Iterator[Any]:  # noqa: ANN401 - of any database
    """A cursor with the result of a query, which does not take all of it into memory."""
    connection = client.native_connection
    if type(connection).__module__.partition(".")[0] != "psycopg2":
        with client.execute_query(sql) as cursor:
            yield cursor
        return
    from psycopg2 import extras  # noqa: PLC0415 - an optional dependency

    # as text, so that numbers in it stay exact
    for register in (extras.register_default_json, extras.register_default_jsonb):
        register(connection, loads=str)
    with connection.cursor(name="mixpanel_destination", withhold=True) as cursor:
        cursor.itersize = FETCH_ROWS
        cursor.execute(sql)
        yield cursor


def _on_own_thread(chunks: Iterator[list[bytes]]) -> Iterator[bytes]:
    """The items of chunks that are made on another thread.

    dlt keeps what a pipeline is doing in contexts of the thread, which two pipelines, the one that
    is read and the one that is staged, cannot share.
    """
    ready: Queue[list[bytes] | BaseException | None] = Queue(maxsize=CHUNKS_AHEAD)
    stopped = Event()

    def put(item: list[bytes] | BaseException | None) -> None:
        while not stopped.is_set():
            with suppress(Full):
                ready.put(item, timeout=POLL_S)
                return

    def read() -> None:
        try:
            for chunk in chunks:
                put(chunk)
                if stopped.is_set():
                    return
        except BaseException as error:  # noqa: BLE001 - raised again where the items are taken
            put(error)
        else:
            put(None)

    thread = Thread(target=read, name="mixpanel-input", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield from item
    finally:
        stopped.set()
        thread.join()
