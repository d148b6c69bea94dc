"""The settings of a run: each is declared here, once, with its parser, default and description.

To add a setting, add a field to `Config` and run `python -m mixpanel_source.config.document`, which
writes it into the README, the files in `.dlt`, the signature of `mixpanel_source()` and `Settings`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from .. import constants
from ..windows import DAY, Window
from .declaration import setting, setting_of
from .history import parse_history
from .masking import MaskRules, describe_mask, parse_mask, parse_mask_key
from .parsers import (
    auto_or,
    choice_of,
    names_of,
    number_from,
    parse_day,
    parse_directory,
    parse_flag,
    parse_ids,
    parse_json,
    parse_range,
    parse_region,
    parse_store,
    parse_text,
    parse_url,
    parse_webhook,
    parse_zone,
)
from .report_parsing import parse_reports
from .reports import Report


@dataclass(frozen=True, kw_only=True)
class Config:
    """All settings of a run, parsed and complete."""

    username: str = setting(
        parse_text,
        "User name of the service account; see Organization settings > Service accounts",
        heading="Account and project",
        example="name.a1b2c3.mp-service-account",
        file="secrets.toml",
    )
    secret: str = setting(
        parse_text, "Secret of the service account", example="...", file="secrets.toml"
    )
    project_id: int = setting(
        number_from(int, 1),
        "Number of the project; see Project settings > Overview",
        example=1234567,
        file="secrets.toml",
    )
    region: str = setting(parse_region, "Data residency of the project", default="us")
    base_url: str = setting(
        parse_url,
        "Host of profiles, cohorts and reports, such as a proxy or the sandbox",
        default_text="the region's",
        example="https://mixpanel.com",
    )
    export_base_url: str = setting(
        parse_url,
        "Host of raw events",
        default_text="the region's",
        example="https://data.mixpanel.com",
    )
    ingestion_base_url: str = setting(
        parse_url,
        "Host of lookup tables",
        default_text="the region's",
        example="https://api.mixpanel.com",
    )
    workspace_id: int | None = setting(
        number_from(int, 1),
        "Number of the data view through which profiles, cohorts and reports are seen",
        default=None,
        default_text="the account's",
        example=1234567,
    )

    anchor_date: date | None = setting(
        parse_day,
        "First day of the first sync",
        heading="Days",
        default=None,
        default_text="a year ago",
        example="2026-01-01",
    )
    range: Window | None = setting(
        parse_range,
        "First and last day of a backfill, which is loaded instead of a sync",
        default=None,
        file=None,
    )
    # Mixpanel's /track endpoint drops events that are more than five days old, so what its SDKs
    # send is never later. Source: https://developer.mixpanel.com/reference/track-event.
    lookback_days: int = setting(
        number_from(int, 0, constants.LOOKBACK_DAYS_MAX),
        "Days after which a day is final; until then each sync reads it again, for late events",
        default=5,
    )
    window_days: int | None = setting(
        auto_or(number_from(int, 1, 366)),
        "Days per request; `auto`: more where days are small, up to "
        f"{constants.AUTO_WINDOW_DAYS_MAX}",
        default=1,
    )
    split_days_above: int = setting(
        number_from(int, 1),
        "Maximum events per request: a day that is expected to have more is read in parts",
        default=constants.SPLIT_DAYS_ABOVE,
    )
    include_today: bool = setting(
        parse_flag, "Also load today, which is still incomplete", default=False
    )
    project_timezone: str = setting(
        parse_zone,
        "Time zone of a project created before 2023, whose event times are local",
        default="UTC",
    )
    catch_up_days: int = setting(
        number_from(int, 1, 3_660), "Days back that a catch-up looks for late events", default=365
    )
    accept_deletions: bool = setting(
        parse_flag,
        "Delete events of settled days that Mixpanel no longer serves; by default they are kept",
        default=False,
    )

    archive: str | None = setting(
        parse_directory,
        "Archive that keeps what Mixpanel serves, a file for each day; see docs/archive.md",
        default=None,
        example="/srv/mixpanel-archive",
    )

    events: tuple[str, ...] = setting(
        names_of("event names"),
        "Events to load",
        heading="Events and columns",
        default=(),
        default_text="all",
        example=["Signed up", "Order Completed"],
    )
    where: str | None = setting(
        parse_text,
        "Mixpanel expression that events must match",
        default=None,
        example='properties["$city"] == "Oslo"',
    )
    # Mixpanel's maximum. Source: https://developer.mixpanel.com/reference/raw-event-export.
    limit: int | None = setting(
        number_from(int, 1, 100_000),
        "Maximum events per request; reaching it is an error, not a silent loss",
        default=None,
        example=100_000,
    )
    properties: str = setting(
        choice_of("columns", "json", "both"),
        "Where properties go: `columns`, one each; `json`, all in the column `properties`; `both`",
        default="columns",
    )
    max_columns: int = setting(
        number_from(int, 10, 10_000),
        "Maximum columns of a table; further properties go to the JSON column `other_properties`",
        default=constants.MAX_COLUMNS,
    )

    mask: MaskRules = setting(
        parse_mask,
        "Properties of events and profiles that are stored masked or left out; see docs/privacy.md",
        heading="Masking",
        default=(),
        example={"$email": "hash", "$city": "drop", "referrer": "domain"},
    )
    mask_key: str | None = setting(
        parse_mask_key,
        "Key of the hashes, needed by `mask`; with another key hashes of the same value differ",
        default=None,
        example="random text, such as openssl rand -hex 32 prints",
        file="secrets.toml",
    )
    encrypt_spool: bool = setting(
        parse_flag,
        "Encrypt the spool, where downloads wait to be loaded; needs the extra `encryption`",
        default=False,
    )

    engage_page_size: int | None = setting(
        number_from(int, 1, 1_000_000),
        "Profiles per page",
        heading="Profiles, cohorts and groups",
        default=None,
        default_text="Mixpanel's",
        example=1_000,
    )
    engage_where: str | None = setting(
        parse_text,
        "Mixpanel expression that profiles must match",
        default=None,
        example='properties["$city"] == "Oslo"',
    )
    engage_output_properties: tuple[str, ...] = setting(
        names_of("property names"),
        "Properties of profiles to load",
        default=(),
        default_text="all",
        example=["$email", "plan"],
    )
    engage_behaviors: str | None = setting(
        parse_json,
        'Behaviors that `engage_where` may refer to, as in `(behaviors["b1"] > 0)`',
        default=None,
        example=[{"window": "30d", "name": "b1", "event_selectors": [{"event": "Signed up"}]}],
    )
    engage_cohort: int | None = setting(
        number_from(int, 1),
        "Number of a cohort, to load only its profiles",
        default=None,
        example=1000,
    )
    engage_full_days: int = setting(
        number_from(int, 0, 366),
        "Days between full reads of the profiles, with only the updated ones read in between; "
        "0: each read is full",
        default=0,
    )
    cohort_ids: tuple[int, ...] = setting(
        parse_ids,
        "Numbers of the cohorts to load the members of",
        default=(),
        default_text="all",
        example=[1000, 1001],
    )
    data_group_ids: tuple[int, ...] = setting(
        parse_ids,
        "Group types to load the profiles of; see Project settings > Group Keys",
        default=(),
        example=[-1405123841946871899],
    )

    history: tuple[str, ...] = setting(
        parse_history,
        "Tables of which each row keeps its earlier versions, with the time of each",
        heading="Lists",
        default=(),
        example=["feature_flags", "lexicon"],
    )

    requests_per_second: float = setting(
        number_from(float, 0.001, 1_000),
        "Maximum requests per second",
        heading="Requests and processing",
        default=1.0,
    )
    requests_per_hour: int = setting(
        number_from(int, 0, 1_000_000),
        "Maximum requests per hour to each host; 0: no limit",
        default=constants.REQUESTS_PER_HOUR,
    )
    quota_store: str | None = setting(
        parse_store,
        "Where requests are logged for all who share the project's quota: a directory, or the "
        "address of a Postgres database",
        default=None,
        default_text="dlt's data directory",
        example="/mnt/shared/mixpanel",
    )
    retries: int = setting(
        number_from(int, 0, 100), "Maximum retries of a failed request", default=5
    )
    retry_base_seconds: float = setting(
        number_from(float, 0, 3_600),
        "Seconds before the first retry; doubled for each one after",
        default=10.0,
    )
    workers: int | None = setting(
        auto_or(number_from(int, 1, 64)),
        "Threads that decode; `auto`: one less than there are processors, up to "
        f"{constants.WORKERS_MAX}",
        default=None,
        default_text="`auto`",
        example="auto",
    )

    metrics_file: str | None = setting(
        parse_text,
        "File for Prometheus' textfile collector, written at the end of each job; see "
        "docs/observability.md",
        heading="Observability",
        default=None,
        example="/var/lib/node_exporter/mixpanel.prom",
    )
    on_failure_url: str | None = setting(
        parse_webhook,
        "Address that receives a POST when a job fails; a secret, if it contains a token",
        default=None,
        example="https://hooks.example.com/mixpanel",
    )

    # last, because in a TOML file each report may be a table of its own, after all other settings
    reports: tuple[Report, ...] = setting(
        parse_reports,
        "Reports to load, each a table `[[sources.mixpanel.reports]]`; see docs/reports.md",
        heading="Reports",
        default=(),
        example=[{"name": "Signups", "table": "segmentation", "params": {"event": "Signed up"}}],
    )

    def __repr__(self) -> str:
        """Hide the secret and the filters, wherever this may be printed."""
        return f"Config(project_id={self.project_id}, base_url={self.base_url!r})"

    @property
    def local_time(self) -> bool:
        """Whether `time` is the project's wall clock rather than UTC (projects before 2023)."""
        return self.project_timezone != "UTC"

    @property
    def mask_version(self) -> str:
        """Identifies `mask` and `mask_key` without revealing the key."""
        return describe_mask(self.mask, self.mask_key)

    @property
    def filters(self) -> dict[str, Any]:
        """The filters of the export that are set; empty if all events are loaded."""
        filters = {"events": list(self.events), "where": self.where, "limit": self.limit}
        return {name: value for name, value in filters.items() if value}

    @property
    def profile_filters(self) -> dict[str, Any]:
        """The filters of the profiles that are set; empty if all are loaded completely."""
        filters = {
            "where": self.engage_where,
            "output_properties": [*self.engage_output_properties],
            "behaviors": self.engage_behaviors,
            "cohort": self.engage_cohort,
        }
        return {name: value for name, value in filters.items() if value}

    def anchor(self, today: date) -> date:
        """First day of the first sync: `anchor_date`, or the day a year before `today`."""
        return self.anchor_date or today - DAY * 365


SETTINGS = tuple(setting_of(declared) for declared in fields(Config))
SETTING_NAMES = tuple(declared.name for declared in SETTINGS)
