"""The command that asks Mixpanel what a user wants to know: `request`."""

from __future__ import annotations

import argparse
import sys

from .exits import DONE
from .jobs import swift_imports
from .text import count


def run_request(options: argparse.Namespace) -> int:
    """Print what any endpoint of the API answers, or load it into a table; changes nothing."""
    with swift_imports():
        from ..ask import ask, check_table, load_answer, parse_params
        from ..pipeline import location, open_pipeline

    params = parse_params(options.param)
    if options.table is not None:
        check_table(options.table)
    with ask(options.method, options.path, params, max_wait_s=options.max_wait) as answer:
        if options.table is None:
            for chunk in answer.chunks():
                sys.stdout.buffer.write(chunk)
            sys.stdout.flush()
            return DONE
        pipeline = open_pipeline(
            options.destination, dataset=options.dataset, name=f"{options.pipeline}_request"
        )
        rows = load_answer(answer, options.table, pipeline)
    print(f"{options.table}: {count(rows, 'row')}\nin {location(pipeline)}")
    return DONE
