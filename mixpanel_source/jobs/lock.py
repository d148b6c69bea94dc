"""Locks, so that only one job at a time works on a target's files and loads into a dataset."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import dlt

from .. import constants
from ..destinations.exclusive import ExclusiveAccess
from ..destinations.file_lock import LockedFile, is_locked, lock_file
from ..destinations.registry import destination_of, target_of
from ..errors import BusyError, CancelledError, MixpanelError
from ..paths import LoadTarget
from .working_directory import make_target_directory

if TYPE_CHECKING:
    from ..tables.context import LoadContext

logger = logging.getLogger("mixpanel_source")

_REMEDY = "Set DLT_DATA_DIR to a directory on a local disk."


@contextmanager
def job_access(pipeline: dlt.Pipeline, context: LoadContext) -> Iterator[ExclusiveAccess]:
    """Hold a pipeline on this machine, and its dataset, for a whole job.

    Waits for other jobs as long as the context allows.

    Raises:
        BusyError: another job still holds one of them.
        CancelledError: the job was cancelled while waiting.
        MixpanelError: a lock file cannot be used, or the destination cannot be reached.
    """
    held, access = _wait_for_access(pipeline, context)
    with held:
        access.watch(context.max_wait_s)
        yield access


def _wait_for_access(
    pipeline: dlt.Pipeline, context: LoadContext
) -> tuple[ExitStack, ExclusiveAccess]:
    give_up_at = context.clock.time() + context.max_wait_s
    logged = ""
    while True:
        try:
            return _acquire(pipeline)
        except BusyError as busy:
            if context.clock.time() + constants.LOCK_POLL_SECONDS > give_up_at:
                raise
            if busy.reason != logged:
                logger.warning("%s Waiting for up to %.0f s.", busy.reason, context.max_wait_s)
                logged = busy.reason
        context.clock.sleep(constants.LOCK_POLL_SECONDS)
        if context.cancelled.is_set():
            raise CancelledError("Cancelled.")


def _acquire(pipeline: dlt.Pipeline) -> tuple[ExitStack, ExclusiveAccess]:
    """Acquire the locks of the pipeline and access to its dataset, or nothing."""
    with ExitStack() as stack:
        stack.enter_context(pipeline_lock(pipeline))
        access = destination_of(pipeline).acquire()
        stack.callback(access.release)
        return stack.pop_all(), access


@contextmanager
def dataset_lock(pipeline: dlt.Pipeline) -> Iterator[None]:
    """Hold a pipeline and its dataset, as a job does, without waiting for others.

    Raises:
        BusyError: a job holds one of them, or another program a lock of the database.
        MixpanelError: a lock file cannot be used, or the destination cannot be reached.
    """
    held, access = _acquire(pipeline)
    with held:
        access.watch(constants.SHORT_WAIT_SECONDS)
        try:
            yield
        except MixpanelError as error:
            if access.interruption is not None:
                raise access.interruption from error
            raise


@contextmanager
def pipeline_lock(pipeline: dlt.Pipeline) -> Iterator[None]:
    """Hold the files of a pipeline's target, and dlt's working directory.

    Raises:
        BusyError: another job holds them, in this process or another.
        MixpanelError: a lock file cannot be created or locked.
    """
    with ExitStack() as stack:
        for target in _targets(pipeline):
            stack.callback(_lock(target).release)
        yield


def _lock(target: LoadTarget) -> LockedFile:
    try:
        make_target_directory(target)
    except OSError as error:
        raise MixpanelError(
            f"The directory {target.directory} cannot be created: {error.strerror}. Make the "
            f"directory above it writable. {_REMEDY}"
        ) from error
    subject = f"Another job of the pipeline {target.pipeline}"
    return lock_file(target.lock_file, subject=subject, remedy=_REMEDY)


def _targets(pipeline: dlt.Pipeline) -> Iterator[LoadTarget]:
    target = target_of(pipeline)
    yield target
    working_directory = Path(pipeline.working_dir).absolute()
    if working_directory.parent != target.pipelines_dir.absolute():
        # a script's own pipeline: others of its name use the directory for other targets
        yield LoadTarget(str(working_directory), "", pipeline.pipeline_name)


def is_job_running(target: LoadTarget) -> bool:
    """Whether a job of the target is under way on this machine."""
    return is_locked(target.lock_file)
