"""Runs and refused rows as tables of a database, beside the files that this machine keeps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, fields
from typing import Any

import dlt
from dlt.pipeline.exceptions import PipelineStepFailed

from mixpanel_source import open_pipeline
from mixpanel_source.errors import MixpanelError

from ..runs import REFUSED_TABLE, SENDS_TABLE, ProjectRuns, RefusedRow, Send

PIPELINE = "mixpanel_destination"
_TYPES = {"int": "bigint", "float": "double", "float | None": "double", "str": "text"}


def publish(runs: ProjectRuns, destination: str, *, dataset: str) -> dict[str, int]:
    """Merge the runs of a project and their refused rows into a database, by their keys.

    Args:
        runs: of the project.
        destination: a dlt destination.
        dataset: of the tables `_mixpanel_sends` and `_mixpanel_refused`.

    Returns:
        Table -> rows that were merged.

    Raises:
        ConfigError: the destination cannot be used.
        MixpanelError: it refused the rows.
    """
    pipeline = open_pipeline(destination, dataset=dataset, name=PIPELINE)
    sends = runs.sends()
    refused = [row for send in sends for row in runs.log(send.run).refused()]
    tables = [
        _table(SENDS_TABLE, Send, ["run"], (_send(send) for send in sends)),
        _table(REFUSED_TABLE, RefusedRow, ["run", "key"], (asdict(row) for row in refused)),
    ]
    try:
        pipeline.run(tables, loader_file_format="parquet")
    except PipelineStepFailed as failure:
        raise MixpanelError(
            f"{destination} could not take {SENDS_TABLE} and {REFUSED_TABLE} "
            f"({type(failure.exception).__name__}). The files on this machine have them."
        ) from failure
    return {SENDS_TABLE: len(sends), REFUSED_TABLE: len(refused)}


def _send(send: Send) -> dict[str, Any]:
    row = asdict(send)
    del row["options"]
    return row


def _table(name: str, kind: type, key: list[str], rows: Iterator[dict[str, Any]]) -> Any:  # noqa: ANN401 - a resource
    columns: Any = {
        field.name: {"data_type": _TYPES[str(field.type)], "nullable": field.name not in key}
        for field in fields(kind)
        if str(field.type) in _TYPES
    }
    return dlt.resource(
        rows, name=name, write_disposition="merge", primary_key=key, columns=columns
    )
