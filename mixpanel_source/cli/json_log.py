"""The log as JSON: one object a line, for programs that collect logs."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timezone

_OWN_FIELDS = {
    *logging.LogRecord("", 0, "", 0, "", None, None).__dict__,
    "asctime",
    "message",
    "taskName",
}
"""What every record has; the rest are fields of the message."""


class JsonFormatter(logging.Formatter):
    """Writes a record as an object: time, level, logger, message, and the fields of `extra`.

    Projects run one after the other, so each record is of the project that was announced last.
    """

    def __init__(self) -> None:
        """Start without a project."""
        super().__init__()
        self._project: object = None

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON."""
        fields = {name: value for name, value in record.__dict__.items() if name not in _OWN_FIELDS}
        self._project = fields.get("project", self._project)
        if record.exc_info and record.exc_info[0] is not None:
            # only the type: the text may contain a value
            fields.setdefault("error", record.exc_info[0].__name__)
        line = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(
                timespec="milliseconds"
            ),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **({"project": self._project} if self._project is not None else {}),
            **fields,
        }
        return json.dumps(line, default=str)
