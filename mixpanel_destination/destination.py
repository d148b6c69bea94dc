"""The destination of dlt, for tables that `mixpanel_adapter` has prepared."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import dlt
import pyarrow as pa
from dlt.common.destination import Destination
from dlt.common.destination.client import LoadJob
from dlt.common.destination.typing import PreparedTableSchema
from dlt.common.exceptions import TerminalException
from dlt.common.schema.typing import TTableSchema
from dlt.common.storages.load_package import load_package_state
from dlt.destinations.impl.destination.destination import DestinationClient
from dlt.destinations.impl.destination.factory import destination as DestinationFactory  # noqa: N812 - a class
from dlt.destinations.job_impl import DestinationParquetLoadJob
from typing_extensions import Unpack

from mixpanel_source.api.clock import Clock
from mixpanel_source.errors import ConfigError, MixpanelError

from . import constants
from .api.client import Client
from .rows.staged import KIND_HINT, SCHEMA
from .runs import ProjectRuns, Send
from .sending.sender import Sender, SendOptions
from .settings import NAME, Settings, SettingValues, load_settings

_DELIVERY = "mixpanel_delivery"


class StoppedError(MixpanelError, TerminalException):
    """Sending stopped; dlt must not try again at once, and keeps the package."""


@dataclass
class Delivery:
    """Sends the packages of a pipeline; one for each destination object."""

    settings: Settings | None = None
    values: SettingValues = field(default_factory=SettingValues)
    name: str = NAME
    options: SendOptions = field(default_factory=SendOptions)
    clock: Clock = time
    cancelled: threading.Event = field(default_factory=threading.Event)
    client: Client | None = None
    on_progress: Callable[[int], None] | None = None
    """Called with the rows of a run that have an answer."""
    _senders: dict[tuple[str, str], Sender] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, items: Any, table: TTableSchema) -> None:  # noqa: ANN401 - as dlt calls it
        """Send a batch of a load package, called by dlt on several threads.

        Raises:
            StoppedError: nothing more can be sent; the package stays, to be resumed.
        """
        try:
            sender = self._sender(table)
            sender.send(_checked(items), str(table["name"]))
        except MixpanelError as error:
            if _gives_up_failed_jobs():
                # dlt would take the rest of a package for sent; like this it tries again, and ends
                raise
            raise StoppedError(error.reason, subject=error.subject) from error
        if self.on_progress is not None:
            self.on_progress(sender.sent)

    def _sender(self, table: TTableSchema) -> Sender:
        kind = table.get(KIND_HINT)
        if not isinstance(kind, str):
            raise ConfigError(
                f"the table {table['name']} was not prepared for Mixpanel. Pass its resource "
                "through mixpanel_adapter(resource, kind=...)."
            )
        run = load_package_state()["load_id"]
        with self._lock:
            if self.client is None:
                settings = self.settings or load_settings(self.values, name=self.name)
                self.client = Client(settings, clock=self.clock, cancelled=self.cancelled)
            if (run, kind) not in self._senders:
                log = ProjectRuns(self.client.settings.project_id).log(run)
                self._senders[run, kind] = Sender(self.client, log, kind, options=self.options)
            return self._senders[run, kind]

    def complete(self, run: str) -> None:
        """Note that a package is sent, unless a command does that itself."""
        if self.client is None:
            return
        settings = self.client.settings
        runs = ProjectRuns(settings.project_id)
        if runs.find(run) is not None:
            return
        totals = runs.log(run).totals()
        now = self.clock.time()
        runs.record(
            Send(
                run=run,
                project_id=settings.project_id,
                region=settings.region,
                kind=next((kind for sent, kind in self._senders if sent == run), ""),
                state="done",
                source="a pipeline",
                staged=totals["accepted"] + totals["refused"] + totals["skipped"],
                accepted=totals["accepted"],
                refused=totals["refused"],
                skipped=totals["skipped"],
                bytes=totals["bytes"],
                started_at=now,
                ended_at=now,
            )
        )


class MixpanelLoadJob(DestinationParquetLoadJob):
    """Sends a file of a load package, batch after batch.

    Which batches are sent is noted by `RunLog`, and not, as dlt does it, in the state of the load
    package. Threads change that state while others write it as JSON, and orjson, which then reads
    objects that are gone, ends the process: seen in three of four runs with 2,500 batches.
    """

    def run(self) -> None:
        """Send the file, called by dlt on a thread."""
        for batch in self.iter_batches():
            self.call_callable_with_items(batch)


class MixpanelClient(DestinationClient):
    """Makes the jobs of a load package."""

    def create_load_job(
        self, table: PreparedTableSchema, file_path: str, load_id: str, restore: bool = False
    ) -> LoadJob:
        """See `DestinationClient`."""
        job = super().create_load_job(table, file_path, load_id, restore)
        if not isinstance(job, DestinationParquetLoadJob):
            return job
        return MixpanelLoadJob(file_path, self.config, {}, self.destination_callable)

    def complete_load(self, load_id: str) -> None:
        """Note that a load package is sent."""
        delivery: Delivery = getattr(self.config.destination_callable, _DELIVERY)
        delivery.complete(load_id)


class MixpanelDestination(DestinationFactory):
    """The class of the destination, as dlt knows it."""

    @property
    def client_class(self) -> type[DestinationClient]:
        """See `Destination`."""
        return MixpanelClient


def build_destination(delivery: Delivery) -> MixpanelDestination:
    """The destination that sends with a delivery."""

    def mixpanel(items: Any, table: TTableSchema) -> None:  # noqa: ANN401 - as dlt calls it
        delivery(items, table)

    # dlt hands the function on, and with it what belongs to it
    setattr(mixpanel, _DELIVERY, delivery)
    return MixpanelDestination(
        destination_callable=mixpanel,
        destination_name=delivery.name,
        loader_file_format="parquet",
        batch_size=constants.BATCH_ROWS,
        naming_convention="direct",
        skip_dlt_columns_and_tables=True,
        max_table_nesting=0,
        max_parallel_load_jobs=constants.CLIENTS,
    )


def mixpanel(
    *, destination_name: str = NAME, **settings: Unpack[SettingValues]
) -> Destination[Any, Any]:
    """A destination that sends rows to a Mixpanel project.

    Args:
        destination_name: the section of its settings in `[destination.<name>]`.
        settings: take precedence over those configured.
    """
    return build_destination(Delivery(values=settings, name=destination_name))


# dlt takes a function for a destination if it has the class that it makes
mixpanel._factory = MixpanelDestination  # type: ignore[attr-defined]


def _gives_up_failed_jobs() -> bool:
    """Whether dlt is configured to go on without what failed for good."""
    raises = str(dlt.config.get("load.raise_on_failed_jobs")).lower()
    aborts = str(dlt.config.get("load.auto_abort_on_terminal_error")).lower()
    return raises == "false" or aborts == "true"


def _checked(items: Any) -> pa.RecordBatch:  # noqa: ANN401 - whatever dlt passes
    if not isinstance(items, pa.RecordBatch) or not {*SCHEMA.names} <= {*items.schema.names}:
        raise ConfigError(
            "rows arrive in another form than mixpanel_adapter gives them. Leave "
            "loader_file_format and the columns of the table unset."
        )
    return items
