"""What all load packages of one run share."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from threading import Event

import dlt

from .. import constants
from ..api.client import Client
from ..api.clock import Clock
from ..api.gate import Gate
from ..config.masking import check_mask
from ..config.model import Config
from ..decode.forgotten import ForgottenIds
from ..destinations.registry import destination_of, target_of
from ..errors import ConfigError
from ..files import make_private
from ..paths import data_directory
from ..progress import Progress
from .archive.archive import EVENTS, Archive
from .archive.opening import open_archive
from .engine import Engine, LocalEngine
from .forgotten_ids import read_forgotten
from .losses import find_loss
from .ownership import claim_dataset
from .package import Checkpoint, LoadPackage, RunRecord
from .spool.cipher import SpoolCipher
from .spool.spool import Spool
from .window_requests import WindowRequests


class LoadContext:
    """The settings and services of one run, over as many load packages as it takes.

    Nothing here changes during a run but what `claim` and `start_package` set, and `record`, which
    the runner of the packages writes. Building a context reads no clock and sends no request.
    """

    def __init__(
        self,
        config: Config,
        *,
        checkpoint: Checkpoint | None = None,
        max_wait_s: float = constants.QUOTA_PATIENCE_SECONDS,
        clock: Clock = time,
        progress: Progress | None = None,
        cancelled: Event | None = None,
        catches_up: bool = False,
        from_archive: Archive | None = None,
        engine: Engine | None = None,
        gate: Gate | None = None,
    ) -> None:
        """Prepare a run.

        Args:
            config: the settings, resolved.
            checkpoint: size of a package; None for one package that takes all there is.
            max_wait_s: maximum seconds to wait for the quota, or for another job.
            clock: the time, and how to wait.
            progress: receives progress events.
            cancelled: once set, the run ends where nothing is half done.
            catches_up: whether `export` loads the days that late events arrived for, instead of
                those that a sync loads.
            from_archive: to load from instead of Mixpanel.
            engine: does the work on events; this process if not given.
            gate: lets requests through; its own if not given.
        """
        check_mask(config.mask, config.mask_key, config.archive)
        if from_archive is not None:
            from_archive.check_filters(config, from_archive.tables)
            config = _for_archive(config, from_archive)
        self.config = config
        self.from_archive = from_archive
        self.checkpoint = checkpoint
        self.clock = clock
        self.progress = progress or Progress()
        self.cancelled = cancelled or Event()
        self.catches_up = catches_up
        self.client = Client(
            config,
            clock=clock,
            directory=data_directory(),
            progress=self.progress,
            cancelled=self.cancelled,
            gate=gate,
        )
        self.engine = engine or LocalEngine()
        self.window_requests = WindowRequests(config, self.client, ahead=self.engine.ahead)
        self.record = RunRecord()
        self.package: LoadPackage | None = None
        """The package being filled."""
        self.max_wait_s = max_wait_s
        self._is_claimed = False
        self._checked: set[str] = set()
        self._packages: dict[str, LoadPackage] = {}
        self._forgotten: ForgottenIds | None = None
        self._archive: Archive | None = None
        self._cipher = SpoolCipher(config.secret) if config.encrypt_spool else None

    @property
    def archive(self) -> Archive | None:
        """The archive that keeps what is fetched; opened, and locked for others, on first use.

        Raises:
            ConfigError: it does not fit the settings.
            BusyError: another process writes it.
            MixpanelError: it cannot be used.
        """
        if self._archive is None and self.config.archive and self.from_archive is None:
            # a plain pipeline.run does not tell when it is over
            self._archive = open_archive(self.config, locks=self.checkpoint is not None)
        return self._archive

    def open_spool(self, directory: Path | None = None) -> Spool:
        """A spool; that of the pipeline that is running if no directory is given."""
        return Spool(directory or target_of(dlt.current.pipeline()).spool, self._cipher)

    def close(self) -> None:
        """End the work of the engine, and let others write the archive."""
        self.engine.close()
        if self._archive is not None:
            self._archive.close()
            self._archive = None

    @property
    def forgotten(self) -> ForgottenIds:
        """The persons whose rows are not loaded; known once a package was started."""
        if self._forgotten is None:
            raise RuntimeError("no package was started")
        return self._forgotten

    def claim(self, pipeline: dlt.Pipeline) -> None:
        """Claim the dataset of a pipeline for the project, once per run.

        Raises:
            ConfigError: the dataset belongs to another project or another pipeline, or the
                destination would change values.
            DestinationException: the destination cannot be reached or written.
            MixpanelError: the destination cannot be reached.
        """
        if not self._is_claimed:
            if getattr(pipeline, "destination", None) is not None:  # else it extracts only
                destination_of(pipeline).check()
            claim_dataset(pipeline, project_id=self.config.project_id)
            self._is_claimed = True

    def start_package(self, table: str) -> LoadPackage:
        """Start a load package for a table, from within its resource.

        Raises:
            ConfigError: the dataset belongs to another project or another pipeline.
            MixpanelError: the destination cannot be reached, or another user has access to the
                files of the pipeline.
        """
        pipeline = dlt.current.pipeline()
        # dlt writes the rows there with the permissions of the umask
        make_private(Path(pipeline.working_dir))
        make_private(data_directory())
        loss = None
        with _connected(pipeline):
            self.claim(pipeline)
            _check_project(self.config.project_id)
            if self._forgotten is None:
                # before any request: what is fetched then is kept if the destination goes away
                self._forgotten = read_forgotten(pipeline)
            if table not in self._checked:
                loss = find_loss(pipeline, table)
                self._checked.add(table)
        # before any request: what it refuses would be fetched in vain
        _ = self.archive
        self.package = LoadPackage(table, self.clock.time(), self.checkpoint, self.progress)
        self.package.loss = loss
        self._packages[table] = self.package
        return self.package

    def finish_package(self) -> LoadPackage:
        """Record the package, which is in the destination, and remove its spool files."""
        package, self.package = self.package, None
        if package is None:
            raise RuntimeError("no package was started")
        self.record.add(package)
        for spool, name in package.spooled:
            spool.remove(name)
        return package

    def discard_unmasked(self, table: str) -> None:
        """Remove the spool files of the latest package of a table, if they hold what `mask` masks.

        A job removes them once they are loaded, or when it ends; a plain `pipeline.run` does not
        tell when that is.
        """
        package = self._packages.get(table)
        if package is not None and self.config.mask and self.checkpoint is None:
            for spool, name in package.spooled:
                spool.remove(name)

    def abandon_package(self) -> None:
        """Record which parts failed in a package that could not be loaded, if there is one."""
        package, self.package = self.package, None
        if package is not None:
            self.record.add_failed_parts(package)

    def is_checkpoint_due(self, package: LoadPackage) -> bool:
        """Whether the package should end before the next window; marks it as having more."""
        if package.checkpoint is not None and package.windows:
            package.has_more |= self.cancelled.is_set() or package.is_full(self.clock.time())
        return package.has_more

    def patience_s(self, package: LoadPackage) -> float:
        """Maximum seconds to wait for the quota now; short while there is something to load."""
        return self.prefetch_patience_s if package.windows else self.max_wait_s

    @property
    def prefetch_patience_s(self) -> float:
        """Maximum seconds a prefetch may wait for the quota."""
        if self.checkpoint is None:
            return self.max_wait_s
        return min(self.max_wait_s, constants.SHORT_WAIT_SECONDS)

    def now(self) -> datetime:
        """The current time in UTC, corrected if the clock is known to be ahead."""
        return datetime.fromtimestamp(self.time(), timezone.utc)

    def time(self) -> float:
        """The current time in seconds since the epoch, corrected like `now`."""
        return self.clock.time() + self.client.server_time.correction_s


def _for_archive(config: Config, archive: Archive) -> Config:
    """The settings with which an archive is loaded: from its first day on, day by day."""
    first = min(archive.days(EVENTS), default=None)
    return replace(config, window_days=1, anchor_date=config.anchor_date or first)


def clear_spool(pipeline: dlt.Pipeline) -> None:
    """Delete the spool of a pipeline's target."""
    Spool(target_of(pipeline).spool).clear()


def _check_project(project_id: int) -> None:
    """Store in the pipeline's state which project it loads, and refuse to load another.

    Raises:
        ConfigError: the pipeline has loaded another project.
    """
    stored = dlt.current.source_state().setdefault("project_id", project_id)
    if stored != project_id:
        raise ConfigError(
            f"project_id is {project_id}, but the dataset holds project {stored}, and "
            "loading would mix the two. Choose another dataset or another database."
        )


@contextmanager
def _connected(pipeline: dlt.Pipeline) -> Iterator[None]:
    """Keep one connection to the destination for all that is looked up there."""
    if getattr(pipeline, "destination", None) is None:  # the pipeline extracts only
        yield
        return
    with destination_of(pipeline).connect():
        yield
