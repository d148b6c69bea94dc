"""What people manage in the made-up project: flags, experiments, accounts, imports."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone
from typing import Any

from ..project import Project

ADA = {"creator_id": 1, "creator_name": "Ada Okafor", "creator_email": "ada@example.com"}
FLAG_ID = "8a1e6b0c-54c5-4a5e-9a41-6f0f2f6f8d11"
ARCHIVED_FLAG_ID = "0d9f7a53-3f0b-4f7c-8a2e-0b7a5f7a1c22"
EXPERIMENT_ID = "c7d5d0ce-7c5e-4a0a-9d0b-2f3f1a6b9e33"
IMPORT_ID = 5501
SERVICE_ACCOUNT_ID = 901


def add_managed_objects(project: Project, last_day: date) -> None:
    """Add feature flags, an experiment, service accounts and warehouse imports.

    Args:
        project: The project to add them to.
        last_day: UTC date of the newest of them.
    """
    noon = datetime.combine(last_day, time(12), timezone.utc)
    project.feature_flags = [
        _flag(project, noon, id=FLAG_ID, key="new_checkout", status="enabled"),
        _flag(project, noon, id=ARCHIVED_FLAG_ID, key="old_search", status="archived"),
    ]
    project.experiments = [_experiment(noon)]
    project.service_accounts = [
        _service_account(noon, SERVICE_ACCOUNT_ID, "loader.a1b2c3.mp-service-account", "analyst"),
        _service_account(noon, 902, "importer.d4e5f6.mp-service-account", "admin"),
    ]
    project.warehouse_imports = [
        _import(noon, IMPORT_ID, "event_stream"),
        _import(noon, IMPORT_ID + 1, "people"),
    ]
    second = int(noon.timestamp())
    project.warehouse_import_runs = {
        str(IMPORT_ID): [
            _run("SUCCEEDED", second, events=1200),
            _run("FAILED", second - 86_400, events=0),
        ]
    }


def add_undocumented_objects(project: Project, last_day: date) -> None:
    """Add a dashboard, an alert, a drop filter, a custom property and definitions.

    Args:
        project: The project to add them to.
        last_day: UTC date of the newest of them.
    """
    at = _iso(datetime.combine(last_day, time(12), timezone.utc))
    project.dashboards = [{"id": 71, "title": "Weekly", "is_private": False, "created": at, **ADA}]
    project.alerts = [
        {"id": 81, "name": "Fewer orders", "condition": {"op": "<"}, "paused": False, "created": at}
    ]
    project.custom_properties = [
        {"customPropertyId": 91, "name": "Net price", "displayFormula": "A - B", "created": at}
    ]
    project.drop_filters = [
        {"id": 61, "eventName": "Debug", "filters": [{"property": "x"}], "active": True}
    ]
    project.event_definitions = [
        {"id": 51, "name": "Order", "displayName": "Order", "hidden": False, "tags": ["core"]},
        {"id": 0, "name": "Debug", "hidden": True, "dropped": True},
        {"id": 52, "name": "$custom_event:52", "customEventId": 52, "displayName": "Any purchase"},
    ]
    project.property_definitions = [
        {"name": "plan", "resourceType": "event", "description": "Plan of the account"},
        {"name": "plan", "resourceType": "user", "hidden": False},
    ]


def _iso(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _flag(project: Project, at: datetime, *, id: str, key: str, status: str) -> dict[str, Any]:
    variants = [
        {"key": "off", "value": False, "is_control": True, "split": 0.5},
        {"key": "on", "value": True, "is_control": False, "split": 0.5},
    ]
    return {
        "id": id,
        "project_id": project.project_id,
        "workspace_id": None,
        "key": key,
        "name": key.replace("_", " ").capitalize(),
        "description": None,
        "tags": ["shop"],
        "experiment_id": EXPERIMENT_ID if status == "enabled" else None,
        "status": status,
        "context": "distinct_id",
        "serving_method": "client",
        "ruleset": {"variants": variants, "rollout": []},
        "content_type": "feature-flags",
        "created": _iso(at - timedelta(days=20)),
        "modified": _iso(at),
        **ADA,
    }


def _experiment(at: datetime) -> dict[str, Any]:
    return {
        "id": EXPERIMENT_ID,
        "name": "New checkout",
        "content_type": "experiments",
        "description": "Does one page sell more than three?",
        "hypothesis": "More orders per visit.",
        "status": "active",
        "variants": [{"key": "off", "is_control": True}, {"key": "on", "is_control": False}],
        "metrics": [{"name": "Orders", "event": "Order Completed"}],
        "settings": {"confidence_level": 0.95},
        "exposures_cache": {"off": 210, "on": 198},
        "results_cache": {},
        "feature_flag": {"id": FLAG_ID, "key": "new_checkout"},
        "tags": ["shop"],
        "created": _iso(at - timedelta(days=15)),
        "modified": _iso(at),
        "deleted": None,
        "start_date": _iso(at - timedelta(days=10)),
        "end_date": None,
        **ADA,
    }


def _service_account(at: datetime, id: int, username: str, role: str) -> dict[str, Any]:
    return {
        "id": id,
        "username": username,
        "last_used": _iso(at),
        "expires": _iso(at + timedelta(days=365)),
        "creator": 1,
        "created": _iso(at - timedelta(days=200)),
        "user": 4000 + id,
        "hasSensitiveAccess": role == "admin",
        "role": role,
        "role_order": 2,
        "target_type": "individual",
    }


def _import(at: datetime, id: int, import_type: str) -> dict[str, Any]:
    return {
        "id": id,
        "import_type": import_type,
        "sync_mode": "time_based",
        "created": _iso(at - timedelta(days=30)),
        "warehouse_source_id": 77,
        "table_params": {"schema_name": "shop", "table_name": import_type},
        "paused": False,
        "run_every": 86_400_000_000_000,
        "last_dispatch": int(at.timestamp()),
        "is_deleted": False,
        **ADA,
    }


def _run(status: str, at: int, *, events: int) -> dict[str, Any]:
    return {
        "status": status,
        "start_time": at,
        "end_time": at + 90,
        "num_events_imported": events,
    }
