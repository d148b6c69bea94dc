"""Flags, experiments, service accounts and warehouse imports of the app API."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..context import Context
from ..messages import Request, Response, api_error
from ..project import Project
from .app_api import ok, workspaces_of

Row = dict[str, Any]
_OF_PROJECT = ("hasSensitiveAccess", "role", "role_order", "target_type")
"""Keys of a service account that only the list of a project has."""


def list_feature_flags(context: Context, request: Request) -> Response:
    """Return the flags of a data view, optionally with the archived ones.

    Source: https://developer.mixpanel.com/reference/list-feature-flags

    Raises:
        ApiError: 404, the data view does not exist.
    """
    _check_workspace(context, request)
    with_archived = request.params.get("include_archived") == "true"
    flags = context.project.feature_flags
    return ok([flag for flag in flags if with_archived or flag["status"] != "archived"])


def list_experiments(context: Context, request: Request) -> Response:
    """Return the experiments of a data view.

    Source: https://developer.mixpanel.com/reference/list-experiments

    Raises:
        ApiError: 404, the data view does not exist.
    """
    _check_workspace(context, request)
    return ok(context.project.experiments)


def list_organization_accounts(context: Context, _request: Request) -> Response:
    """Return the service accounts of the organization.

    Source: https://developer.mixpanel.com/reference/list-service-accounts
    """
    return ok([_of_organization(account) for account in context.project.service_accounts])


def get_organization_account(context: Context, request: Request) -> Response:
    """Return a service account.

    Source: https://developer.mixpanel.com/reference/get-service-account

    Raises:
        ApiError: 404, it does not exist.
    """
    return ok(_of_organization(_find(context.project.service_accounts, request)))


def get_import_history(context: Context, request: Request) -> Response:
    """Return the latest runs of an import.

    Source: https://developer.mixpanel.com/reference/get-import-history

    Raises:
        ApiError: 404, the import does not exist.
    """
    found = _find(context.project.warehouse_imports, request)
    return ok({"runs": context.project.warehouse_import_runs.get(str(found["id"]), [])})


def list_bookmarks(context: Context, request: Request) -> Response:
    """Return the saved reports; undocumented.

    Raises:
        ApiError: 400, `v` is not 2: the older format is not imitated.
    """
    if request.params.get("v") != "2":
        raise api_error(400, "v must be 2", request)
    return ok(
        [
            {"id": id_, "name": bookmark.get("name"), "type": "insights", "params": bookmark}
            for id_, bookmark in context.project.bookmarks.items()
        ]
    )


def list_event_definitions(context: Context, request: Request) -> Response:
    """Return the definitions of events, optionally of custom events only; undocumented."""
    only_custom = request.params.get("custom_event") == "true"
    found = context.project.event_definitions
    return ok([row for row in found if not only_custom or row.get("customEventId")])


def get_one(read: Callable[[Project], Sequence[Row]]) -> Callable[[Context, Request], Response]:
    """Return an endpoint that serves one of a list of objects, by its id in the path.

    Args:
        read: Returns the list.
    """

    def endpoint(context: Context, request: Request) -> Response:
        return ok(_find(read(context.project), request))

    return endpoint


def _find(rows: Sequence[Row], request: Request) -> Row:
    for row in rows:
        if str(row["id"]) == request.path_params["id"]:
            return row
    raise api_error(404, "Not found", request)


def _check_workspace(context: Context, request: Request) -> None:
    ids = {str(workspace["id"]) for workspace in workspaces_of(context.project)}
    if request.path_params["workspace_id"] not in ids:
        raise api_error(404, "Workspace not found", request)


def _of_organization(account: Row) -> Row:
    return {key: value for key, value in account.items() if key not in _OF_PROJECT}
