"""The tables that can be selected: one description each, from which everything else follows.

`--tables` and its help, the tables of the README and of docs/tables.md, `check`, `plan` and the
registry of resources read these rows. A table that is one list of objects needs no more than its
row here and its endpoint's; others also have a module in `mixpanel_source.tables`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from .endpoint import Endpoint
from .endpoints import endpoint

EXPORT: Final = "export"
"""Name of the table of events."""
WHOLE: Final = "replaced as a whole"
PARTS: Final = "replaced part by part"
BUCKETS: Final = "report by report; the requested days are replaced"
READINGS: Final = "report by report; each reading is filed under its day"


class Table(NamedTuple):
    """A table that can be selected."""

    name: str
    holds: str
    """What it contains, for the README."""
    loaded: str
    """How a sync replaces what it holds."""
    requests: str
    """Metered requests of a sync: `none`, a number, or a number for each part."""
    asks: str = ""
    """Name of the endpoint, if it is not the table's own."""
    is_default: bool = False
    """Whether a sync loads it unless other tables are named."""
    columns: tuple[tuple[str, str], ...] = ()
    """For lists of objects: each table that is filled, the selected one first, and its columns as
    `name type, name type` in dlt's types. The first column is never null."""

    has_properties: bool = False
    """Whether it holds properties of events or profiles."""
    may_keep_history: bool = False
    """Whether the setting `history` may name it: people change its rows, and there are few."""
    warning: str = ""
    """Logged by each run that loads it."""

    @property
    def endpoint(self) -> Endpoint:
        """What a sync requests first."""
        return endpoint(self.asks or self.name)

    @property
    def is_report(self) -> bool:
        """Whether it is filled from declared reports."""
        return self.requests.endswith("each report")


def _report(
    name: str, holds: str, loaded: str = BUCKETS, *, asks: str = "", has_properties: bool = False
) -> Table:
    return Table(name, holds, loaded, "1 for each report", asks=asks, has_properties=has_properties)


def _undocumented(name: str, holds: str, columns: str, *, asks: str = "") -> Table:
    """A list whose other columns are loaded as they come."""
    listed = ((name, columns),)
    return Table(name, holds, WHOLE, "none", asks=asks, columns=listed, may_keep_history=True)


TABLES: Final = (
    Table(
        EXPORT,
        "raw events",
        "day by day; a day that is read again replaces the day",
        "1 for each window of `window_days`",
        is_default=True,
        has_properties=True,
    ),
    Table("engage", "user profiles", WHOLE, "1", is_default=True, has_properties=True),
    Table(
        "cohorts",
        "the list of cohorts",
        WHOLE,
        "1",
        columns=(
            (
                "cohorts",
                "id bigint, project_id bigint, name text, description text, count bigint, "
                "is_visible bigint, created timestamp, data_group_id text",
            ),
        ),
        may_keep_history=True,
    ),
    Table(
        "cohort_members",
        "who is in which cohort, with history",
        "cohort by cohort; earlier members stay, with the time they left",
        "1, and 1 for each cohort",
        asks="cohorts",
    ),
    Table(
        "groups",
        "profiles of companies, teams and other groups",
        PARTS,
        "1 for each group type",
        asks="engage",
        has_properties=True,
    ),
    Table(
        "annotations",
        "annotations and their tags",
        WHOLE,
        "none",
        columns=(
            (
                "annotations",
                "id bigint, project_id bigint, date text, description text, user json, tags json",
            ),
            ("annotation_tags", "id bigint, name text, project_id bigint, has_annotations bool"),
        ),
    ),
    Table(
        "lexicon",
        "the Lexicon, whose descriptions become comments on columns",
        WHOLE,
        "none",
        columns=(
            (
                "lexicon",
                "property text, entity_type text, entity text, type text, description text, "
                "display_name text, is_hidden bool, is_dropped bool, tags json, definition json",
            ),
        ),
        may_keep_history=True,
    ),
    Table(
        "projects",
        "the projects that the account can read",
        WHOLE,
        "none",
        columns=(
            (
                "projects",
                "project_id bigint, name text, organization_id bigint, timezone text, "
                "domain text, role json, permissions json",
            ),
        ),
    ),
    Table(
        "data_pipelines",
        "Mixpanel's own data pipelines and their runs",
        WHOLE,
        "none",
        columns=(
            (
                "data_pipelines",
                "name text, dispatcher text, last_dispatched text, frequency text, "
                "sync_enabled text",
            ),
            (
                "data_pipeline_runs",
                "pipeline text, state text, position bigint, name text, project_id bigint, "
                "run_at text, last_finish text, from_date text, to_date text",
            ),
        ),
    ),
    Table(
        "lookup_tables",
        "the list of lookup tables",
        WHOLE,
        "none",
        columns=(("lookup_tables", "id text, name text"),),
    ),
    Table(
        "feature_flags",
        "feature flags, archived ones included",
        WHOLE,
        "none",
        columns=(
            (
                "feature_flags",
                "id text, project_id bigint, workspace_id bigint, key text, name text, "
                "description text, status text, experiment_id text, context text, "
                "data_group_id text, serving_method text, ruleset json, tags json, "
                "created timestamp, modified timestamp, enabled_at timestamp, deleted timestamp",
            ),
        ),
        may_keep_history=True,
    ),
    Table(
        "experiments",
        "experiments, with their variants, metrics and latest results",
        WHOLE,
        "none",
        columns=(
            (
                "experiments",
                "id text, name text, description text, hypothesis text, status text, "
                "variants json, metrics json, settings json, exposures_cache json, "
                "results_cache json, feature_flag json, tags json, start_date timestamp, "
                "end_date timestamp, created timestamp, modified timestamp, deleted timestamp",
            ),
        ),
        may_keep_history=True,
    ),
    Table(
        "service_accounts",
        "the service accounts of the project, without secrets",
        WHOLE,
        "none",
        columns=(
            (
                "service_accounts",
                "id bigint, username text, role text, last_used timestamp, expires timestamp, "
                "created timestamp, creator bigint, has_sensitive_access bool, target_type text",
            ),
        ),
    ),
    Table(
        "warehouse_imports",
        "imports from warehouses and their latest runs",
        WHOLE,
        "none",
        columns=(
            (
                "warehouse_imports",
                "id bigint, import_type text, sync_mode text, warehouse_source_id bigint, "
                "table_params json, paused bool, run_every bigint, last_dispatch bigint, "
                "is_deleted bool, created timestamp, creator_name text",
            ),
            (
                "warehouse_import_runs",
                "import_id bigint, position bigint, status text, start_time bigint, "
                "end_time bigint, num_events_imported bigint",
            ),
        ),
    ),
    Table(
        "workspaces",
        "the data views that the account can read",
        WHOLE,
        "none",
        asks="projects",
        columns=(
            (
                "workspaces",
                "id bigint, project_id bigint, name text, is_default bool, is_global bool, "
                "is_restricted bool, is_visible bool",
            ),
        ),
    ),
    Table(
        "bookmarks",
        "saved reports, with their definitions",
        WHOLE,
        "none",
        columns=(("bookmarks", "id bigint"),),
        may_keep_history=True,
    ),
    Table(
        "cohort_definitions",
        "cohorts, with their definitions",
        WHOLE,
        "none",
        columns=(("cohort_definitions", "id bigint"),),
        may_keep_history=True,
    ),
    _undocumented("dashboards", "boards of saved reports", "id bigint, title text"),
    _undocumented("alerts", "alerts on saved reports", "id bigint, name text"),
    _undocumented(
        "custom_events",
        "custom events, with their definitions",
        "name text, id bigint, custom_event_id bigint",
        asks="event_definitions",
    ),
    _undocumented(
        "custom_properties",
        "custom properties, with their formulas",
        "custom_property_id bigint, name text",
    ),
    _undocumented("drop_filters", "filters that drop events", "id bigint, event_name text"),
    _undocumented(
        "event_definitions",
        "how events are named, tagged and hidden",
        "name text, display_name text, description text, hidden bool, dropped bool",
    ),
    _undocumented(
        "property_definitions",
        "how properties are named and hidden",
        "name text, resource_type text, description text, hidden bool, dropped bool",
    ),
    _report("funnels", "saved funnels, step by step and day by day", asks="funnel_steps"),
    _report("insights", "a saved report"),
    _report("insights_queries", "a report declared by its parameters, without being saved"),
    _report("flows", "a flows report declared by its parameters", PARTS),
    _report("segmentation", "counts of an event, whole or by a property"),
    _report("segmentation_numeric", "counts of an event by ranges of a number"),
    _report("segmentation_sum", "the sum of a numeric property"),
    _report("segmentation_average", "the mean of a numeric property"),
    _report("retention", "how many users come back"),
    _report("frequency", "how often users come back"),
    _report("event_counts", "counts of several events"),
    _report("event_properties", "counts of an event by the values of a property"),
    _report("top_events", "today's most frequent events", READINGS),
    _report("event_names", "the names of events", PARTS),
    _report("top_properties", "the most frequent properties of an event", READINGS),
    _report("property_values", "the values of a property", PARTS),
    _report("activity", "the events of some users", has_properties=True),
    _report("jql", "the output of a JQL script", PARTS)._replace(
        # Mixpanel's own SDK dropped it in May 2026; there is no date
        warning="jql: Mixpanel is retiring JQL and has given no date. Declare the report for "
        "another table, such as insights, before it stops working."
    ),
)
"""Every table that can be selected, in the order of the documentation."""

HISTORY_TABLES: Final = tuple(table.name for table in TABLES if table.may_keep_history)
TABLE_NAMES: Final = tuple(table.name for table in TABLES)
DEFAULT_TABLES: Final = tuple(table.name for table in TABLES if table.is_default)
REPORT_TABLES: Final = tuple(table.name for table in TABLES if table.is_report)
ALL_REPORTS: Final = "reports"
"""Stands for every report table with a declared report, where tables are selected."""

_BY_NAME: Final = {table.name: table for table in TABLES}


def find_table(name: str) -> Table:
    """The table of that name; raises KeyError if there is none."""
    return _BY_NAME[name]
