"""Does the work of a job on a Ray cluster: a local one, or the one that `RAY_ADDRESS` names.

A task fetches, verifies and writes a window; several run at once, ahead of the job. The job takes
the windows in their order, as if it had fetched them. It decides which rows they replace, extends
the map of columns, and puts the files of a checkpoint into one load package, which is one commit.

A task assigns columns to new properties on its own, beginning with the columns that were known when
it started. The job adopts them if it would have assigned the same. If it would not, because another
window came first, the window is written again with the columns that the table has by then.

A task whose worker or node dies is started again. Nothing that it left counts but verified files in
the spool, so a request is repeated only if its reply was not complete.

Sources: https://docs.ray.io/en/latest/ray-core/fault-tolerance.html,
https://docs.ray.io/en/latest/ray-core/api/doc/ray.init.html.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import ray
from dlt.common.typing import TDataItems
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ...catalog.tables import EXPORT
from ...decode.columns import ColumnMap
from ...decode.index.row_index import RowIndex
from ...decode.parallel import Check
from ...decode.verify import VerifiedWindow
from ...errors import CancelledError, MixpanelError
from ...files import make_private
from ...paths import data_directory
from ...tables.context import LoadContext
from ...tables.emit import TableFormat, iter_items
from ...tables.events.fetching import FetchedWindow, WindowFetch
from ...tables.item_files import WrittenFile, adds_load_id, stored_schema
from ...tables.load_log import WindowLoad
from .quota import Quota
from .worker import Order, Written, load_window

logger = logging.getLogger("mixpanel_source")

TRIES = 4
"""Of a task whose worker dies."""
POLL_S = 0.2
"""Between two looks whether the job is cancelled, in seconds."""
OBJECT_STORE_BYTES = 100_000_000
"""Of a local cluster: tasks exchange descriptions of files only."""
_DIED = (
    ray.exceptions.WorkerCrashedError,
    ray.exceptions.NodeDiedError,
    ray.exceptions.OutOfMemoryError,
    ray.exceptions.ObjectLostError,
    ray.exceptions.ActorUnavailableError,
)


class RayEngine:
    """Does the work of a job on the workers of a cluster."""

    def __init__(self, workers: int | None = None) -> None:
        """Connect to the cluster, or start one on this machine.

        Args:
            workers: number of windows that are worked on at once; as many as the cluster has
                processors if not given.
        """
        self._is_ours = not ray.is_initialized()
        if self._is_ours:
            _connect(workers)
        self.ahead = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._task = ray.remote(load_window).options(num_cpus=1, max_retries=0)
        self._quota: Any = None
        self._context: LoadContext | None = None
        self._columns: ColumnMap | None = None
        self._schema = pa.schema([])
        self._directory = Path()
        self._written: dict[tuple[str, ...], tuple[Order, Written]] = {}

    def begin(self, context: LoadContext, columns: ColumnMap) -> None:
        """See `Engine`."""
        if self._quota is None:
            self._start(context)
        self._context, self._columns = context, columns
        self._schema = stored_schema(EXPORT)

    def fetch(self, order: WindowFetch, check: Check) -> FetchedWindow:
        """See `Engine`."""
        given, written = self._run(self._order(order), check)
        if written.failure is not None:
            raise written.failure
        return self._take(given, written)

    def iter_items(
        self, fetched: FetchedWindow, table_format: TableFormat, load: WindowLoad
    ) -> Iterator[TDataItems]:
        """See `Engine`."""
        given, written = self._written.pop(fetched.names, (None, None))
        if (
            given is None
            or written is None
            or adds_load_id()
            # the job has dropped rows that belong to other windows
            or written.dropped != len(fetched.verified.index.dropped)
        ):
            yield from iter_items(fetched, table_format, load)
            return
        columns = table_format.columns
        if not columns.adopt(given.columns, written.columns):
            logger.info(
                "%s %s: writing it again, with the columns of the table", EXPORT, given.window
            )
            again = replace(given, columns=tuple(columns.stored), after=0.0)
            _, written = self._run(again, self._check_cancelled)
            if written.failure is not None:
                raise written.failure
            # nothing has changed since, so it agrees
            columns.adopt(again.columns, written.columns)
        yield from _iter_files(written, table_format, load)

    def close(self) -> None:
        """Disconnect; a local cluster ends."""
        if self._directory.name:
            shutil.rmtree(self._directory, ignore_errors=True)
        if self._quota is not None:
            ray.kill(self._quota)
            self._quota = None
        if self._is_ours and ray.is_initialized():
            ray.shutdown()

    def _start(self, context: LoadContext) -> None:
        """Start the actor, and make the directory of files anew."""
        spool = context.open_spool()
        make_private(spool.directory)
        self._directory = spool.directory.parent / "written"
        # what a killed job has left
        shutil.rmtree(self._directory, ignore_errors=True)
        make_private(self._directory)
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self._quota = (
            ray.remote(Quota)
            .options(
                num_cpus=0,
                max_restarts=-1,
                max_task_retries=-1,
                # each task waits in a call of its own
                max_concurrency=2 * self.ahead + 2,
                scheduling_strategy=here,
            )
            .remote(context.config, data_directory())
        )

    def _order(self, order: WindowFetch) -> Order:
        if self._context is None or self._columns is None:
            raise RuntimeError("no package was begun")
        context = self._context
        return Order(
            # a task has one processor
            config=replace(context.config, workers=1),
            forgotten=context.forgotten,
            window=order.window,
            patience_s=order.patience_s,
            after=order.after,
            rows_a_day=context.window_requests.splitter.expected_rows,
            spool=order.spool.directory,
            directory=self._directory,
            columns=tuple(self._columns.stored),
            schema=self._schema,
        )

    def _run(self, order: Order, check: Check) -> tuple[Order, Written]:
        """Have a worker do a task, and another one if it dies.

        Raises:
            MixpanelError: one worker after the other died.
        """
        for number in range(1, TRIES + 1):
            holder = uuid4().hex
            task = self._task.remote(order, self._quota, holder)
            try:
                return order, self._wait(task, check)
            except _DIED as error:
                logger.warning(
                    "%s %s: its worker died (%s), try %d of %d.",
                    EXPORT,
                    order.window,
                    type(error).__name__,
                    number,
                    TRIES,
                )
            except ray.exceptions.RayTaskError as error:
                if isinstance(error.cause, MixpanelError):
                    raise error.cause from None
                raise
            finally:
                self._quota.end.remote(holder)
        raise MixpanelError(
            f"{EXPORT} {order.window}: {TRIES} workers died, one after the other. Check their "
            "memory and the logs of Ray."
        )

    def _wait(self, task: Any, check: Check) -> Written:  # noqa: ANN401 - Ray's type depends on the task
        try:
            while not ray.wait([task], timeout=POLL_S)[0]:
                check()
                self._check_cancelled()
            written: Written = ray.get(task)
        except BaseException:
            ray.cancel(task, force=True)
            raise
        if self._context is not None:
            self._context.client.note_elsewhere(written.requests, written.server_time)
        return written

    def _take(self, order: Order, written: Written) -> FetchedWindow:
        if written.index is None or written.spooled is None:
            raise RuntimeError("a window without rows")
        verified = VerifiedWindow(RowIndex.restore(written.index), written.lines_bytes)
        self._written[written.names] = order, written
        return FetchedWindow(written.names, written.spooled, verified)

    def _check_cancelled(self) -> None:
        if self._context is not None and self._context.cancelled.is_set():
            raise CancelledError("Cancelled.")


def _iter_files(
    written: Written, table_format: TableFormat, load: WindowLoad
) -> Iterator[TDataItems]:
    """Yields files as items for dlt, and counts their rows."""
    counted = written.load
    if counted is None:
        raise RuntimeError("a window without rows")
    load.rows += counted.rows
    load.repairs.update(counted.repairs)
    load.duplicates_differing = counted.duplicates_differing
    load.rows_forgotten += counted.rows_forgotten
    load.masked = counted.masked
    for file in written.files:
        yield WrittenFile(file, table_format.as_item(file.schema.empty_table()))


def _connect(workers: int | None) -> None:
    """Connect to the cluster that `RAY_ADDRESS` names, or start one here."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if os.environ.get("RAY_ADDRESS"):
        ray.init(log_to_driver=False, logging_level=logging.WARNING)
        return
    ray.init(
        # not one that somebody else has started on this machine
        address="local",
        num_cpus=workers,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.WARNING,
        object_store_memory=OBJECT_STORE_BYTES,
    )
