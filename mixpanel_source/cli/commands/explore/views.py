"""`mixpanel-source views`."""

from __future__ import annotations

import argparse
import json

from ...exit_codes import DONE
from ...options import add_json, add_target, parse_names
from ...parser import Commands, add_command
from ...startup import fast_imports


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    summary = "Create or replace the views for analysis, and list them; sends no request."
    parser = add_command(commands, "views", run, summary=summary)
    parser.add_argument(
        "--schema", metavar="NAME", help="schema of the views (default: that of the tables)"
    )
    parser.add_argument(
        "--funnel",
        type=parse_names,
        default=[],
        metavar="EVENTS",
        help="events of the view funnel, in order, separated by commas or as a JSON list",
    )
    parser.add_argument(
        "--funnel-days",
        type=int,
        metavar="DAYS",
        help="maximum days from the first step of the funnel to the last (default: 30)",
    )
    parser.add_argument(
        "--sums",
        type=parse_names,
        default=[],
        metavar="PROPERTIES",
        help="properties whose numbers the view metrics_by_user_day adds up",
    )
    add_target(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Carry out the command."""
    with fast_imports():
        from ....jobs.pipeline import open_pipeline
        from ....views import create_views
        from ....views.funnel import FUNNEL_DAYS

    pipeline = open_pipeline(options.destination, dataset=options.dataset, name=options.pipeline)
    views = create_views(
        pipeline,
        schema=options.schema,
        funnel=options.funnel,
        funnel_days=FUNNEL_DAYS if options.funnel_days is None else options.funnel_days,
        sums=options.sums,
    )
    if options.json:
        print(json.dumps({"schema": options.schema or pipeline.dataset_name, "views": views}))
    else:
        print("\n".join(views))
    return DONE
