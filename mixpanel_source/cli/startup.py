"""What a command sets up before it does its work."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from . import output
from .json_log import JsonFormatter


@contextmanager
def fast_imports() -> Iterator[None]:
    """Disable the garbage collector while importing.

    Imports leave no garbage, and searching for it takes a sixth of their time. Imported objects
    stay, so they are frozen: not searching them later saves another twentieth.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def set_up_logging(options: argparse.Namespace) -> None:
    """Send our log to standard error, and keep dlt quiet."""
    as_json = getattr(options, "log_format", "text") == "json"
    output.log_complaints(as_json)
    if as_json:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JsonFormatter())
        logging.basicConfig(handlers=[handler], force=True)
        logging.captureWarnings(True)
        os.environ.setdefault("RUNTIME__LOG_FORMAT", "JSON")
    else:
        logging.basicConfig(stream=sys.stderr, format="%(message)s")
    is_off = getattr(options, "progress", "log") == "off"
    level = logging.WARNING if is_off else logging.INFO
    for name in ("mixpanel_source", "mixpanel_destination"):
        logging.getLogger(name).setLevel(logging.DEBUG if options.debug else level)
    os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
    # dlt's log may quote values; what matters of it is raised as an error, too
    os.environ.setdefault("RUNTIME__LOG_LEVEL", "CRITICAL")
