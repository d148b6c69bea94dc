"""The commands that ask Mixpanel and leave the tables as they are: `reconcile` and `request`."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from .exit_codes import DONE, FAILED
from .job import swift_imports
from .text import count, grid

if TYPE_CHECKING:
    from ..commands.reconcile import Reconciliation


def run_reconcile(options: argparse.Namespace) -> int:
    """Compare the events that are loaded with Mixpanel's own counts; two requests, mostly."""
    with swift_imports():
        from ..commands.reconcile import reconcile

    found = reconcile(
        destination=options.destination,
        dataset=options.dataset,
        name=options.pipeline,
        days=options.range,
        tolerance=options.tolerance,
        max_wait_s=options.max_wait,
    )
    print(json.dumps(_as_json(found)) if options.json else _as_text(found))
    return DONE if found.agrees else FAILED


def run_request(options: argparse.Namespace) -> int:
    """Print what any endpoint of the API answers, or load it into a table; changes nothing."""
    with swift_imports():
        from ..commands.request import parse_params, request
        from ..commands.response import check_table, load_response
        from ..jobs.pipeline import location, open_pipeline

    params = parse_params(options.param)
    if options.table is not None:
        check_table(options.table)
    with request(options.method, options.path, params, max_wait_s=options.max_wait) as response:
        if options.table is None:
            for chunk in response.chunks():
                sys.stdout.buffer.write(chunk)
            sys.stdout.flush()
            return DONE
        pipeline = open_pipeline(
            options.destination, dataset=options.dataset, name=options.pipeline
        )
        rows = load_response(response, options.table, pipeline)
    print(f"{options.table}: {count(rows, 'row')}\nin {location(pipeline)}")
    return DONE


def _as_json(found: Reconciliation) -> dict[str, Any]:
    return {
        "first": str(found.days[0]),
        "last": str(found.days[-1]),
        "days": len(found.days),
        "zone": found.zone,
        "tolerance": found.tolerance,
        "requests": found.requests,
        "agrees": found.agrees,
        "events": [
            {
                "date": str(one.day),
                "event": one.event,
                "loaded": one.loaded,
                "counted": one.counted,
                "difference": one.difference,
                "within": one.within,
            }
            for one in found.comparisons
        ],
    }


def _as_text(found: Reconciliation) -> str:
    differing = [one for one in found.comparisons if one.difference]
    beyond = sum(not one.within for one in differing)
    loaded = sum(one.loaded for one in found.comparisons)
    counted = sum(one.counted for one in found.comparisons)
    table = [["date", "event", "loaded", "counted", "difference", ""]] + [
        [
            str(one.day),
            one.event,
            f"{one.loaded:,}",
            f"{one.counted:,}",
            f"{one.difference:+,}",
            "" if one.within else "beyond the tolerance",
        ]
        for one in differing
    ]
    days = f"{found.days[0]}..{found.days[-1]}, {count(len(found.days), 'day')} ({found.zone})"
    return "\n".join(
        [
            *([grid(table)] if differing else []),
            f"{days}: {loaded:,} events loaded, {counted:,} counted by Mixpanel",
            f"of {len(found.comparisons):,} counts {len(differing):,} differ, {beyond:,} by more "
            f"than {found.tolerance:.1%}; {count(found.requests, 'request')}",
        ]
    )
