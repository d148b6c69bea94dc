"""Runs a parsed command: closed streams, errors, and an exit code whatever happens."""

from __future__ import annotations

import errno
import gc
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import MixpanelError
from .exit_codes import FAILED, INTERRUPTED
from .output import complain, print_errors, print_traceback
from .parser import Parser
from .startup import set_up_logging
from .streams import flush_streams, replace_closed_streams

_FULL = {errno.ENOSPC, errno.EDQUOT}


def run_program(build_parser: Callable[[], Parser], arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    Args:
        build_parser: of the program; its commands set `run`.
        arguments: those of the process if not given.
    """
    replace_closed_streams()
    try:
        code = _run_command(build_parser, arguments)
    finally:
        # also where argparse exits; what cannot be written would be a traceback at exit
        is_written = flush_streams()
    return code if is_written else FAILED


def _run_command(build_parser: Callable[[], Parser], arguments: Sequence[str] | None) -> int:
    options = build_parser().parse_args(arguments)
    set_up_logging(options)
    run: Callable[[Any], int] = options.run
    try:
        return run(options)
    except MixpanelError as error:
        print_errors([error], debug=options.debug)
        return error.exit_code
    except KeyboardInterrupt:
        complain("Cancelled.")
        return INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe has closed it
        return FAILED
    except Exception as error:  # noqa: BLE001 - the last resort: one line, and an exit code
        if isinstance(error, OSError) and error.errno in _FULL:
            complain(f"error: {error.strerror}. Make room, and run again.")
            return FAILED
        if options.debug:
            print_traceback(error)
        # only the type: the text may contain a value
        complain(
            f"error: unexpected {type(error).__name__}; this is a bug, please report it. What is "
            "loaded is safe; --debug shows where it happened."
        )
        return FAILED
    finally:
        # undo the freeze of `fast_imports`: DuckDB warns about objects that outlive the program
        gc.unfreeze()
