"""Whether what a run sent is in the project: compares it with the project's raw export."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from mixpanel_source.api.clock import Clock
from mixpanel_source.errors import ConfigError
from mixpanel_source.sql import quote_text

from .. import constants
from ..runs import ProjectRuns, RunLog, Send
from ..settings import Settings
from .profiles import compare_profiles, profile_lines
from .served import export_lines, read_settings, windows, write_served
from .verification import SHOWN, DayCount, Difference, Verification

logger = logging.getLogger("mixpanel_destination")

VISIBLE_AFTER_S = 45 * 60.0
"""After this time events that were accepted are in the export."""


def verify(
    settings: Settings,
    send: Send,
    *,
    deep: bool = False,
    wait_s: float = 0.0,
    max_wait_s: float,
    group: str | None = None,
    clock: Clock = time,
) -> Verification:
    """Compare what a run sent with what the project serves.

    Args:
        settings: of the project.
        send: the run.
        deep: whether to compare contents, too.
        wait_s: seconds since the end of the run to wait for first, because Mixpanel takes up to
            `VISIBLE_AFTER_S` to serve an event.
        max_wait_s: maximum seconds to wait for the quota.
        group: `data_group_id`, for a run that sent groups.
        clock: the time, and how to wait.

    Raises:
        ConfigError: the run is not done, or `group` is missing.
        MixpanelError: the project cannot be read.
    """
    if send.kind == "groups" and not group:
        raise ConfigError(
            "--data-group-id is missing: groups are read by the number of their group key, see "
            "Project settings > Group keys."
        )
    if send.state != "done":
        raise ConfigError(f"run {send.run} is not done. `retry {send.run}` sends the rest of it.")
    left_s = (send.ended_at or send.started_at) + wait_s - clock.time()
    if left_s > 0:
        logger.info("Waiting %.0f min until events are served.", left_s / 60)
        clock.sleep(left_s)
    runs = ProjectRuns(settings.project_id)
    reading = read_settings(settings)
    if send.kind != "events":
        served = profile_lines(reading, clock=clock, max_wait_s=max_wait_s, group=group)
        return compare_profiles(runs, send, served, deep=deep)
    with TemporaryDirectory(prefix="verify-", dir=runs.directory) as directory:
        comparison = _Comparison(runs, runs.log(send.run), Path(directory))
        for number, (first, last) in enumerate(windows(comparison.rows_by_day())):
            logger.info("Reading %s to %s.", first, last)
            lines = export_lines(reading, first, last, clock=clock, max_wait_s=max_wait_s)
            write_served(Path(directory) / f"served-{number}.parquet", lines)
        return comparison.result(send, deep=deep)


class _Comparison:
    """Compares in DuckDB, so that memory is bounded."""

    def __init__(self, runs: ProjectRuns, log: RunLog, directory: Path) -> None:
        self._directory = directory
        self._database = duckdb.connect(str(directory / "verify.duckdb"))
        self._database.execute("SET memory_limit = '400MB'")
        self._create("sent", [log.batches], f"outcome = 'accepted' AND event NOT IN ({_VERBS})")
        every = [runs.log(send.run).batches for send in runs.sends() if send.kind == "events"]
        self._create("known", every, "outcome = 'accepted'")
        (self.unchecked,) = self._rows(
            f"SELECT count(*) FROM ({self._read([log.batches])}) "
            f"WHERE outcome = 'accepted' AND event IN ({_VERBS})"
        )[0]

    def rows_by_day(self) -> dict[str, int]:
        """Day -> events that were sent."""
        return dict(self._rows("SELECT day, count(*) FROM sent WHERE day <> '' GROUP BY day"))

    def result(self, send: Send, *, deep: bool) -> Verification:
        """What differs, once all of the export is in the directory."""
        files = [str(file) for file in sorted(self._directory.glob("served-*.parquet"))]
        served = f"read_parquet({files})" if files else f"({self._read([])})"
        self._database.execute(
            "CREATE TABLE served AS SELECT key, any_value(event) AS event, any_value(day) AS day, "
            "any_value(insert_id) AS insert_id, list(DISTINCT content) AS contents "
            f"FROM {served} WHERE day IN (SELECT DISTINCT day FROM sent) "
            f"AND event NOT IN ({_VERBS}) GROUP BY key"
        )
        self._database.execute(_COMPARED.format(deep=str(deep).lower()))
        found = Verification(send, is_deep=deep, unchecked=self.unchecked)
        found.days = [DayCount(*row) for row in self._rows(_DAYS)]
        found.differences = [Difference(*row) for row in self._rows(_LISTED.format(shown=SHOWN))]
        return found

    def _create(self, table: str, directories: Sequence[Path], condition: str) -> None:
        self._database.execute(
            f"CREATE TABLE {table} AS SELECT key, any_value(event) AS event, "
            "any_value(day) AS day, any_value(insert_id) AS insert_id, "
            f"list(DISTINCT content) AS contents FROM ({self._read(directories)}) "
            f"WHERE {condition} GROUP BY key"
        )

    def _read(self, directories: Sequence[Path]) -> str:
        files = [str(file) for path in directories for file in sorted(path.glob("*.parquet"))]
        if not files:
            return (
                "SELECT '' AS key, '' AS content, '' AS day, '' AS event, '' AS insert_id, "
                "'' AS outcome WHERE false"
            )
        return f"SELECT * FROM read_parquet({files})"

    def _rows(self, sql: str) -> list[Any]:
        return self._database.execute(sql).fetchall()


_VERBS = ", ".join(quote_text(name) for name in sorted(constants.IDENTITY_EVENTS))
_COMPARED = """
CREATE TABLE compared AS
SELECT coalesce(sent.day, served.day) AS day,
    coalesce(sent.event, served.event) AS event,
    coalesce(sent.insert_id, served.insert_id) AS insert_id,
    CASE
        WHEN served.key IS NULL THEN 'missing'
        WHEN sent.key IS NULL AND known.key IS NULL THEN 'extra'
        WHEN sent.key IS NULL THEN 'known'
        WHEN {deep} AND NOT list_has_any(served.contents, known.contents) THEN 'different'
        ELSE 'equal'
    END AS kind
FROM sent
FULL JOIN served ON sent.key = served.key
LEFT JOIN known ON known.key = coalesce(sent.key, served.key)
"""
_DAYS = """
SELECT day,
    count(*) FILTER (kind IN ('missing', 'different', 'equal')),
    count(*) FILTER (kind IN ('different', 'equal')),
    count(*) FILTER (kind = 'different'),
    count(*) FILTER (kind = 'extra')
FROM compared GROUP BY day ORDER BY day
"""
_LISTED = """
SELECT kind, day, event, insert_id FROM compared
WHERE kind IN ('missing', 'different', 'extra')
QUALIFY row_number() OVER (PARTITION BY kind ORDER BY day, event, insert_id) <= {shown}
ORDER BY kind, day, event, insert_id
"""
