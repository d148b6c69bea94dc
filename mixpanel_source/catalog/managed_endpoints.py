"""Addresses of the objects that people manage in Mixpanel: flags, experiments, accounts, imports.

Pure data. All of them are unmetered.
"""

from __future__ import annotations

from typing import Final

from .endpoint import APP, Endpoint

_WORKSPACE: Final = "/api/app/workspaces/{workspace_id}"
_ORGANIZATION: Final = "/api/app/organizations/{organization_id}"
_IMPORTS: Final = f"{APP}/warehouse-sources/imports"


def _managed(
    name: str,
    path: str,
    page: str,
    *,
    required: tuple[str, ...] = (),
    optional: tuple[str, ...] = (),
    key: tuple[str, ...] = (),
    documented: bool = True,
) -> Endpoint:
    return Endpoint(
        name,
        path,
        page,
        required=required,
        optional=optional,
        quota=None,
        rows="results",
        key=key,
        documented=documented,
    )


MANAGED_ENDPOINTS: Final = (
    _managed(
        "feature_flags",
        f"{APP}/workspaces/{{workspace_id}}/feature-flags",
        "list-feature-flags",
        optional=("include_archived",),
        key=("id",),
    ),
    _managed(
        "feature_flag",
        f"{APP}/workspaces/{{workspace_id}}/feature-flags/{{flag_id}}",
        "get-feature-flag",
    ),
    _managed("experiments", f"{_WORKSPACE}/experiments", "list-experiments", key=("id",)),
    _managed("experiment", f"{_WORKSPACE}/experiments/{{experiment_id}}", "get-experiment"),
    _managed(
        "service_accounts",
        f"{APP}/service-accounts",
        "list-project-service-accounts",
        key=("id",),
    ),
    _managed(
        "organization_service_accounts",
        f"{_ORGANIZATION}/service-accounts",
        "list-service-accounts",
    ),
    _managed(
        "organization_service_account",
        f"{_ORGANIZATION}/service-accounts/{{service_account_id}}",
        "get-service-account",
    ),
    _managed("warehouse_imports", _IMPORTS, "list-warehouse-imports", key=("id",)),
    _managed("warehouse_import", f"{_IMPORTS}/{{import_id}}", "get-warehouse-import"),
    _managed(
        "warehouse_import_runs",
        f"{_IMPORTS}/{{import_id}}/history",
        "get-import-history",
        key=("import_id", "position"),
    ),
    _managed(
        "data_retrieval",
        "/api/app/data-retrievals/v3.0/{tracking_id}",
        "get-retrieval",
        required=("token",),
    ),
    _managed(
        "data_deletion",
        "/api/app/data-deletions/v3.0/{tracking_id}",
        "get-deletion",
        required=("token",),
    ),
    _managed(
        "bookmarks",
        f"{APP}/bookmarks",
        "overview",
        optional=("v", "type"),
        key=("id",),
        documented=False,
    ),
    *(
        _managed(name, f"{APP}/{path}", "overview", optional=params, key=(key,), documented=False)
        for name, path, params, key in (
            ("cohort_definitions", "cohorts", (), "id"),
            ("dashboards", "dashboards", ("ids",), "id"),
            ("alerts", "alerts/custom/", ("bookmark_id", "skip_user_filter"), "id"),
            ("custom_properties", "custom_properties/", (), "custom_property_id"),
            ("drop_filters", "data-definitions/events/drop-filters/", (), "id"),
            ("event_definitions", "data-definitions/events/", ("name[]", "custom_event"), "name"),
            (
                "property_definitions",
                "data-definitions/properties/",
                ("name[]", "resource_type"),
                "name",
            ),
        )
    ),
)
