"""The result of a job as JSON values."""

from __future__ import annotations

from collections import Counter
from typing import Any

from .pipeline import location
from .runner import JobResult


def summarize(result: JobResult) -> dict[str, Any]:
    """What a job did, without values of rows."""
    repairs: Counter[str] = Counter()
    for window in result.windows:
        repairs.update(window.repairs)
    return {
        "rows": dict(result.rows),
        "requests": result.requests,
        "requests_left": result.requests_left,
        "duplicates_dropped": sum(window.duplicates_dropped for window in result.windows),
        "values_repaired": repairs.total(),
        "rows_rejected": sum(window.rows_rejected for window in result.windows),
        "rows_kept": sum(day.held - day.served for day in result.kept_days.values()),
        "days_kept": {str(day): kept._asdict() for day, kept in result.kept_days.items()},
        "repairs": dict(repairs),
        "seconds": round(result.seconds, 1),
        "destination": location(result.pipeline),
        "dataset": result.pipeline.dataset_name,
        "failures": {str(part): str(error) for part, error in result.failures.items()},
    }
