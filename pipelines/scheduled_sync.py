"""Brings tables and views up to date: copy this file, edit the constants, schedule it.

Settings and credentials are read from `.dlt/` in the working directory, or from the environment. It
can run at any frequency: days are only requested again while they can still change. Exit codes: 0
if everything is loaded, 75 if the quota is exhausted or another run is in progress (the next run
continues), 2 if a setting is invalid, 1 for any other error.

With cron, every night at 03:15:

    15 3 * * *  cd /srv/mixpanel && .venv/bin/python scheduled_sync.py >> sync.log 2>&1

With systemd, in `/etc/systemd/system/mixpanel.service` and `mixpanel.timer`, enabled by
`systemctl enable --now mixpanel.timer`:

    [Service]
    Type=oneshot
    WorkingDirectory=/srv/mixpanel
    ExecStart=/srv/mixpanel/.venv/bin/python scheduled_sync.py
    SuccessExitStatus=75

    [Timer]
    OnCalendar=*-*-* 03:15:00 UTC
    RandomizedDelaySec=10m
    Persistent=true

    [Install]
    WantedBy=timers.target

With GitHub Actions, in `.github/workflows/mixpanel.yml`. The destination must be remote, because a
runner does not keep its files:

    on:
      schedule:
        - cron: "15 3 * * *"
      workflow_dispatch:
    concurrency: mixpanel
    permissions:
      contents: read
    jobs:
      sync:
        runs-on: ubuntu-latest
        timeout-minutes: 350
        steps:
          - uses: actions/checkout@v5
          - uses: actions/setup-python@v6
            with:
              python-version: "3.13"
          - run: pip install --constraint requirements.txt '.[postgres]'
          - run: python pipelines/scheduled_sync.py
            env:
              SOURCES__MIXPANEL__USERNAME: ${{ secrets.MIXPANEL_USERNAME }}
              SOURCES__MIXPANEL__SECRET: ${{ secrets.MIXPANEL_SECRET }}
              SOURCES__MIXPANEL__PROJECT_ID: ${{ secrets.MIXPANEL_PROJECT_ID }}
              DESTINATION__POSTGRES__CREDENTIALS: ${{ secrets.WAREHOUSE_URL }}
              MIXPANEL_DESTINATION: postgres
"""

from __future__ import annotations

import logging
import os
import sys

from mixpanel_source import create_views, open_pipeline, sync
from mixpanel_source.errors import MixpanelError

DESTINATION = os.environ.get("MIXPANEL_DESTINATION", "duckdb")
TABLES = ("export", "engage")
FUNNEL = ("Signed up", "Order Completed")


def main() -> int:
    """Sync, recreate the views and return the exit code."""
    logging.basicConfig(format="%(asctime)s %(message)s")
    logging.getLogger("mixpanel_source").setLevel(logging.INFO)
    try:
        result = sync(TABLES, pipeline=open_pipeline(DESTINATION))
        if "export" not in result.failed_tables:
            create_views(result.pipeline, funnel=FUNNEL)
    except MixpanelError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(dict(result.rows))
    for table, failure in result.failures.items():
        print(f"error: {table}: {failure}", file=sys.stderr)
    return result.exit_code


if __name__ == "__main__":
    sys.exit(main())
