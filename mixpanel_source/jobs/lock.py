"""A lock for each pipeline, so that only one job at a time works on its spool and its state."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

import dlt

from ..errors import BusyError, MixpanelError
from ..paths import data_directory, lock_file


@contextmanager
def pipeline_lock(pipeline: dlt.Pipeline) -> Iterator[None]:
    """Hold the lock of a pipeline; the operating system releases it when the process ends.

    Raises:
        BusyError: another job holds it, in this process or another.
        MixpanelError: the lock file cannot be created.
    """
    directory = data_directory()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = lock_file(pipeline.pipeline_name).open("a")
    except OSError as error:
        raise MixpanelError(
            f"The directory {directory} cannot be written: {error.strerror}. Make it writable, or "
            "set DLT_DATA_DIR to another directory."
        ) from error
    with file:
        try:
            # unlike lockf, flock also excludes other threads; closing the file releases the lock
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(
                f"Another job of the pipeline {pipeline.pipeline_name} is under way. Wait until it "
                "has ended; if it hangs, kill its process."
            ) from None
        yield


def is_locked(pipeline_name: str) -> bool:
    """Whether a job of the pipeline is under way."""
    try:
        with lock_file(pipeline_name).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
