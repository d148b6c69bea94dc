"""One-off backfill of a date range: copy this file, or run it as it is.

    python pipelines/backfill.py 2025-01-01 2025-12-31

Days with few events are requested together, so a year of a small project takes 16 of the 60
requests that Mixpanel allows per hour. When the hourly quota is exhausted, the script loads what it
has and waits. If it is interrupted, the same command continues. It is independent of the syncs.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence

from mixpanel_source import backfill, open_pipeline
from mixpanel_source.errors import MixpanelError

DESTINATION = os.environ.get("MIXPANEL_DESTINATION", "duckdb")
MAX_WAIT_S = 24 * 3600


def main(arguments: Sequence[str]) -> int:
    """Load the days from the first argument to the second, and return the exit code."""
    logging.basicConfig(format="%(asctime)s %(message)s")
    logging.getLogger("mixpanel_source").setLevel(logging.INFO)
    try:
        result = backfill(
            ",".join(arguments),
            pipeline=open_pipeline(DESTINATION),
            max_wait_s=MAX_WAIT_S,
            window_days="auto",
        )
    except MixpanelError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(dict(result.rows))
    for failure in result.failures.values():
        print(f"error: {failure}", file=sys.stderr)
    return result.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
