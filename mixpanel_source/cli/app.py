"""From arguments to an exit code."""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import MixpanelError
from .exit_codes import FAILED, INTERRUPTED, print_traceback, tell_errors
from .parser import build_parser

LEVELS = {"off": logging.WARNING}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    options = build_parser().parse_args(arguments)
    _set_up_logs(options)
    run: Callable[[Any], int] = options.run
    try:
        return run(options)
    except MixpanelError as error:
        tell_errors([error], debug=options.debug)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # whoever read has seen enough; what is still to be written goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:  # noqa: BLE001 - the last resort: one line, and an exit code
        if options.debug:
            print_traceback(error)
        # not what it says, which may hold a value
        print(
            f"error: unforeseen {type(error).__name__}, a mistake of this program. What is loaded "
            "is safe; --debug shows where it happened.",
            file=sys.stderr,
        )
        return FAILED
    finally:
        # what `swift_imports` has set aside: DuckDB complains of what is still there in the end
        gc.unfreeze()


def _set_up_logs(options: Any) -> None:  # noqa: ANN401 - a namespace that differs by command
    # lines of progress are for people, and go where they do not mix with the result
    logging.basicConfig(stream=sys.stderr, format="%(message)s")
    level = LEVELS.get(getattr(options, "progress", "log"), logging.INFO)
    logging.getLogger("mixpanel_source").setLevel(logging.DEBUG if options.debug else level)
    # nobody is told that the pipeline runs, and what dlt logs, values of events at times, stays off
    # the screen: what matters of it comes as an error
    os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
    os.environ.setdefault("RUNTIME__LOG_LEVEL", "CRITICAL")
