"""The settings as keyword arguments of the public functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, TypedDict


class Settings(TypedDict, total=False):
    """Settings that a caller may pass; None means not passed, as does leaving it out.

    Written from `Config` by `python -m mixpanel_source.config.document`.
    """

    username: str | None
    secret: str | None
    project_id: int | str | None
    region: str | None
    base_url: str | None
    export_base_url: str | None
    ingestion_base_url: str | None
    workspace_id: int | str | None
    anchor_date: date | str | None
    range: Sequence[date | str] | str | None
    lookback_days: int | str | None
    window_days: int | str | None
    split_days_above: int | str | None
    include_today: bool | str | None
    project_timezone: str | None
    catch_up_days: int | str | None
    accept_deletions: bool | str | None
    archive: str | None
    events: Sequence[str] | str | None
    where: str | None
    limit: int | str | None
    properties: str | None
    max_columns: int | str | None
    mask: Mapping[str, str] | str | None
    mask_key: str | None
    encrypt_spool: bool | str | None
    engage_page_size: int | str | None
    engage_where: str | None
    engage_output_properties: Sequence[str] | str | None
    engage_behaviors: Sequence[Mapping[str, Any]] | str | None
    engage_cohort: int | str | None
    engage_full_days: int | str | None
    cohort_ids: Sequence[int | str] | int | str | None
    data_group_ids: Sequence[int | str] | int | str | None
    history: Sequence[str] | str | None
    requests_per_second: float | str | None
    requests_per_hour: int | str | None
    quota_store: str | None
    retries: int | str | None
    retry_base_seconds: float | str | None
    workers: int | str | None
    metrics_file: str | None
    on_failure_url: str | None
    reports: Sequence[Mapping[str, Any]] | str | None
