"""The data of one Mixpanel project, as the API would serve it."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any, Literal, TypeVar

from .messages import json_bytes

_Json = TypeVar("_Json")

PROJECT_ID = 1234567
"""The project id of a project that does not say another."""


@dataclass
class Project:
    """The data of one project; change it at any time and the next request sees the change."""

    events: dict[date, list[bytes]] = field(default_factory=dict, repr=False)
    """Raw JSON lines without a newline, by the UTC date of their raw `time`."""
    profiles: list[bytes] = field(default_factory=list, repr=False)
    """Raw JSON, one `{"$distinct_id": ..., "$properties": {...}}` each."""
    cohorts: list[dict[str, Any]] = field(default_factory=list, repr=False)
    """The reply of `cohorts/list`."""
    cohort_members: dict[int, list[str]] = field(default_factory=dict, repr=False)
    """Distinct ids by cohort id; they need not have a profile."""
    groups: dict[str, list[bytes]] = field(default_factory=dict, repr=False)
    """Group profiles by `data_group_id`, in the form of `profiles`."""
    funnels: list[dict[str, Any]] = field(default_factory=list, repr=False)
    """Saved funnels, `{"funnel_id", "name", "steps": [event], "length": days}` each."""
    bookmarks: dict[int, dict[str, Any]] = field(default_factory=dict, repr=False)
    """Saved reports by id, `{"name", "events", "on": [property], "days", "unit"}` each; their last
    day is today, `unit` is day, week or month."""
    annotations: list[dict[str, Any]] = field(default_factory=list, repr=False)
    """Annotations as the API serves them."""
    annotation_tags: list[dict[str, Any]] = field(default_factory=list, repr=False)
    """Tags of annotations as the API serves them."""
    schemas: list[dict[str, Any]] = field(default_factory=list, repr=False)
    """Lexicon schemas, `{"entityType", "name", "schemaJson"}` each."""
    lookup_tables: list[dict[str, Any]] = field(default_factory=list, repr=False)
    """Lookup tables, `{"id", "name"}` each."""
    pipelines: list[dict[str, Any]] = field(default_factory=list, repr=False)
    """Data pipelines as the API serves them."""
    pipeline_runs: dict[str, list[dict[str, Any]]] = field(default_factory=dict, repr=False)
    """The runs of a pipeline by its name, as the API serves them."""
    jql: list[dict[str, Any]] | None = field(default=None, repr=False)
    """What every script answers; None, the count of each event."""
    project_id: int = PROJECT_ID
    timezone: str = "UTC"
    """IANA name; decides which day is today, and on which day reports count an event."""
    plan: Literal["free", "growth"] = "growth"
    """On the free plan the whole query API is answered with 402."""

    @classmethod
    def from_directory(cls, path: str | Path) -> Project:
        """Read a project from files; any of them may be missing.

        `export/YYYY-MM-DD.jsonl.gz` holds the events of a day, `engage.jsonl.gz` the profiles,
        `cohorts.json` the cohort list, `cohort-members.json` distinct ids by cohort id and
        `groups.json` group profiles by `data_group_id`. `funnels.json`, `bookmarks.json`,
        `annotations.json`, `annotation-tags.json`, `schemas.json`, `lookup-tables.json`,
        `pipelines.json` and `pipeline-runs.json` hold what the fields of these names do.

        Args:
            path: The directory.

        Raises:
            NotADirectoryError: There is no such directory.
        """
        root = Path(path)
        if not root.is_dir():
            raise NotADirectoryError(f"{root} is not a directory")
        cohorts: list[dict[str, Any]] = _read_json(root / "cohorts.json", [])
        members: dict[str, list[str]] = _read_json(root / "cohort-members.json", {})
        groups: dict[str, list[dict[str, Any]]] = _read_json(root / "groups.json", {})
        bookmarks: dict[str, dict[str, Any]] = _read_json(root / "bookmarks.json", {})
        return cls(
            events={
                date.fromisoformat(day.name.split(".")[0]): _read_lines(day)
                for day in sorted(root.glob("export/*.jsonl.gz"))
            },
            profiles=_read_lines(root / "engage.jsonl.gz"),
            cohorts=cohorts,
            cohort_members={int(cohort): ids for cohort, ids in members.items()},
            groups={key: [json_bytes(row) for row in rows] for key, rows in groups.items()},
            funnels=_read_json(root / "funnels.json", []),
            bookmarks={int(bookmark): report for bookmark, report in bookmarks.items()},
            annotations=_read_json(root / "annotations.json", []),
            annotation_tags=_read_json(root / "annotation-tags.json", []),
            schemas=_read_json(root / "schemas.json", []),
            lookup_tables=_read_json(root / "lookup-tables.json", []),
            pipelines=_read_json(root / "pipelines.json", []),
            pipeline_runs=_read_json(root / "pipeline-runs.json", {}),
            project_id=cohorts[0]["project_id"] if cohorts else PROJECT_ID,
        )

    def add_event(self, name: str, properties: dict[str, Any]) -> date:
        """File an event under the UTC day of its `time` and return that day.

        Args:
            name: Name of the event.
            properties: Properties as the API serves them; `time` is epoch seconds.
        """
        day = datetime.fromtimestamp(properties["time"], tz=timezone.utc).date()
        line = json_bytes({"event": name, "properties": properties})
        self.events.setdefault(day, []).append(line)
        return day

    def add_profile(self, distinct_id: str, properties: dict[str, Any]) -> None:
        """Add a user profile."""
        profile = {"$distinct_id": distinct_id, "$properties": properties}
        self.profiles.append(json_bytes(profile))


def _read_lines(path: Path) -> list[bytes]:
    if not path.exists():
        return []
    # not splitlines(): other line separators are legal inside a JSON string
    with gzip.open(path) as file:
        return [line for line in file.read().split(b"\n") if line]


def _read_json(path: Path, missing: _Json) -> _Json:
    if not path.exists():
        return missing
    content: _Json = json.loads(path.read_bytes())
    return content
