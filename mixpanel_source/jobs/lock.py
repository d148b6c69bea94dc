"""Locks, so that only one job at a time works on a pipeline's files and loads into a dataset."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import dlt
from filelock import FileLock, Timeout

from .. import constants
from ..destinations.exclusive import ExclusiveAccess
from ..destinations.registry import destination_of
from ..errors import BusyError, CancelledError, MixpanelError
from ..files import make_private
from ..paths import lock_file
from ..tables.context import LoadContext

logger = logging.getLogger("mixpanel_source")


@contextmanager
def job_access(pipeline: dlt.Pipeline, context: LoadContext) -> Iterator[ExclusiveAccess]:
    """Hold a pipeline on this machine, and its dataset, for a whole job.

    Waits for other jobs as long as the context allows.

    Raises:
        BusyError: another job still holds one of them.
        CancelledError: the job was cancelled while waiting.
        MixpanelError: the lock file cannot be created, or the destination cannot be reached.
    """
    held, access = _wait_for_access(pipeline, context)
    with held:
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
    """Acquire the lock of the pipeline and access to its dataset, or neither."""
    with ExitStack() as stack:
        stack.enter_context(pipeline_lock(pipeline))
        access = destination_of(pipeline).acquire()
        stack.callback(access.release)
        return stack.pop_all(), access


@contextmanager
def dataset_lock(pipeline: dlt.Pipeline) -> Iterator[None]:
    """Hold a pipeline and its dataset, as a job does, without waiting for others.

    Raises:
        BusyError: a job holds one of them.
        MixpanelError: the lock file cannot be used, or the destination cannot be reached.
    """
    held, _ = _acquire(pipeline)
    with held:
        yield


@contextmanager
def pipeline_lock(pipeline: dlt.Pipeline) -> Iterator[None]:
    """Hold the lock of a pipeline; the operating system releases it when the process ends.

    Raises:
        BusyError: another job holds it, in this process or another.
        MixpanelError: the lock file cannot be created or locked.
    """
    lock = _lock_of(pipeline.pipeline_name)
    path = lock_file(pipeline.pipeline_name)
    try:
        make_private(path.parent)
        lock.acquire()
    except Timeout:
        raise BusyError(
            f"Another job of the pipeline {pipeline.pipeline_name} is under way. Wait until it "
            "has ended; if it hangs, kill its process."
        ) from None
    except OSError as error:
        raise MixpanelError(
            f"The lock file {path} cannot be used: {error.strerror}. Make its directory writable, "
            "or set DLT_DATA_DIR to a directory on a local disk, where files can be locked."
        ) from error
    try:
        yield
    finally:
        lock.release()


def is_locked(pipeline_name: str) -> bool:
    """Whether a job of the pipeline is under way."""
    if not lock_file(pipeline_name).exists():
        return False
    lock = _lock_of(pipeline_name)
    try:
        lock.acquire()
    except Timeout:
        return True
    except OSError:
        return False
    lock.release()
    return False


def _lock_of(pipeline_name: str) -> FileLock:
    # jobs end on other threads than they begin on, and never wait inside the library
    return FileLock(lock_file(pipeline_name), timeout=0, mode=0o600, thread_local=False)
