"""The data of a Mixpanel project, as the API serves it."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any, Literal

from .messages import json_bytes

PROJECT_ID = 1234567
"""Default project id."""

_LINES = {"events", "profiles"}
"""Fields of `Project` that are read from lines of JSON."""
_FROM_JSON: dict[str, Callable[[Any], Any]] = {
    "cohort_members": lambda members: {int(cohort): ids for cohort, ids in members.items()},
    "groups": lambda groups: {key: [json_bytes(row) for row in groups[key]] for key in groups},
    "bookmarks": lambda bookmarks: {int(bookmark): bookmarks[bookmark] for bookmark in bookmarks},
}
"""Field of `Project` -> conversion of its file; the other fields are stored as their file has
them."""


@dataclass
class Project:
    """The data of a project; changes take effect with the next request."""

    events: dict[date, list[bytes]] = field(default_factory=dict, repr=False)
    """Raw JSON lines without newlines, by the UTC date of their raw `time`."""
    profiles: list[bytes] = field(default_factory=list, repr=False)
    """Raw JSON objects, `{"$distinct_id": ..., "$properties": {...}}`."""
    cohorts: list[dict[str, Any]] = field(default_factory=list, repr=False)
    """Response of `cohorts/list`."""
    cohort_members: dict[int, list[str]] = field(default_factory=dict, repr=False)
    """Distinct ids by cohort id, with or without a profile."""
    groups: dict[str, list[bytes]] = field(default_factory=dict, repr=False)
    """Group profiles by `data_group_id`, in the format of `profiles`."""
    group_keys: dict[str, str] = field(default_factory=dict, repr=False)
    """`data_group_id` by group key; keys that are not listed get an id when they are written."""
    funnels: list[dict[str, Any]] = field(default_factory=list, repr=False)
    """Saved funnels, `{"funnel_id", "name", "steps": [event], "length": days}`, with breakdowns as
    `"on": [property]`."""
    bookmarks: dict[int, dict[str, Any]] = field(default_factory=dict, repr=False)
    """Saved reports by id, `{"name", "events", "on": [property], "days", "unit"}`. They cover the
    last `days` days including today; `unit` is day, week or month. Optional: `"chart": "bar"` for
    sums instead of counts over time, and `"limit"`, the maximum values of a breakdown."""
    annotations: list[dict[str, Any]] = field(default_factory=list, repr=False)
    """Annotations in API format."""
    annotation_tags: list[dict[str, Any]] = field(default_factory=list, repr=False)
    """Annotation tags in API format."""
    schemas: list[dict[str, Any]] = field(default_factory=list, repr=False)
    """Lexicon schemas, `{"entityType", "name", "schemaJson"}`."""
    lookup_tables: list[dict[str, Any]] = field(default_factory=list, repr=False)
    """Lookup tables, `{"id", "name"}`."""
    lookup_contents: dict[str, str] = field(default_factory=dict, repr=False)
    """CSV text by the id of the lookup table, as it was written; no API reads it."""
    workspaces: list[dict[str, Any]] = field(default_factory=list, repr=False)
    """Data views in API format; without any, the project has the one that shows everything."""
    feature_flags: list[dict[str, Any]] = field(default_factory=list, repr=False)
    """Feature flags in API format."""
    experiments: list[dict[str, Any]] = field(default_factory=list, repr=False)
    """Experiments in API format."""
    service_accounts: list[dict[str, Any]] = field(default_factory=list, repr=False)
    """Service accounts in the format of the list of a project."""
    warehouse_imports: list[dict[str, Any]] = field(default_factory=list, repr=False)
    """Imports from warehouses in API format."""
    warehouse_import_runs: dict[str, list[dict[str, Any]]] = field(default_factory=dict, repr=False)
    """Runs by id of the import, in API format."""
    dashboards: list[dict[str, Any]] = field(default_factory=list, repr=False)
    """Dashboards in API format; Mixpanel documents neither these nor the next five lists."""
    alerts: list[dict[str, Any]] = field(default_factory=list, repr=False)
    custom_properties: list[dict[str, Any]] = field(default_factory=list, repr=False)
    drop_filters: list[dict[str, Any]] = field(default_factory=list, repr=False)
    event_definitions: list[dict[str, Any]] = field(default_factory=list, repr=False)
    """Those of custom events have a `customEventId`."""
    property_definitions: list[dict[str, Any]] = field(default_factory=list, repr=False)
    pipelines: list[dict[str, Any]] = field(default_factory=list, repr=False)
    """Data pipelines in API format."""
    pipeline_runs: dict[str, list[dict[str, Any]]] = field(default_factory=dict, repr=False)
    """Runs by pipeline name, in API format."""
    gdpr_jobs: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)
    """Requests to retrieve or delete the data of persons, by their id."""
    jql: list[dict[str, Any]] | None = field(default=None, repr=False)
    """Result of every JQL script; None returns the number of events by name."""
    project_id: int = PROJECT_ID
    timezone: str = "UTC"
    """IANA name; decides which day is today and under which day reports count an event."""
    plan: Literal["free", "growth"] = "growth"
    """On the free plan all query endpoints return 402."""
    name: str = "Sandbox"
    region: Literal["us", "eu", "in"] = "us"
    """Only the hosts of this region know the project."""
    identity: Literal["original", "simplified"] = "simplified"
    """How ids are merged; simplified projects refuse `$identify`, `$create_alias`, `$merge`."""
    retention_days: int | None = None
    """Age in days from which events are refused; None keeps all."""

    @property
    def token(self) -> str:
        """The project token: 32 hexadecimal digits that follow from the id."""
        return hashlib.blake2b(str(self.project_id).encode(), digest_size=16).hexdigest()

    @classmethod
    def from_directory(cls, path: str | Path) -> Project:
        """Read a project from files, all of which are optional.

        `export/YYYY-MM-DD.jsonl.gz` holds the events of a day, `engage.jsonl.gz` the profiles.
        Every other list or dict field has a JSON file of its name: `cohorts.json`,
        `cohort-members.json`, `annotation-tags.json`, ...; `groups.json` has lists of objects by
        `data_group_id`.

        Args:
            path: The directory.

        Raises:
            NotADirectoryError: The directory does not exist.
        """
        root = Path(path)
        if not root.is_dir():
            raise NotADirectoryError(f"{root} is not a directory")
        project = cls(profiles=_read_lines(root / "engage.jsonl.gz"))
        for file in sorted(root.glob("export/*.jsonl.gz")):
            project.events[date.fromisoformat(file.name.split(".")[0])] = _read_lines(file)
        for name, default in vars(project).items():
            file = root / f"{name.replace('_', '-')}.json"
            if isinstance(default, (list, dict)) and name not in _LINES and file.exists():
                convert = _FROM_JSON.get(name, lambda content: content)
                setattr(project, name, convert(json.loads(file.read_bytes())))
        if project.cohorts:
            project.project_id = project.cohorts[0]["project_id"]
        return project

    def add_event(self, name: str, properties: dict[str, Any]) -> date:
        """Add an event and return the UTC date of its `time`, under which it is stored.

        Args:
            name: Event name.
            properties: Properties in API format; `time` is epoch seconds.
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
    # not splitlines(): JSON strings may contain other line separators
    with gzip.open(path) as file:
        return [line for line in file.read().split(b"\n") if line]
