"""Reads the objects that people manage in Mixpanel: flags, experiments, imports, data views.

Flags and experiments belong to a data view (workspace). Without `workspace_id` it is the one that
shows all data of the project, as the account's description names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...config.model import Config
from ...decode.row_shape import NOT_AN_OBJECT
from ...errors import ReplyError
from .fetching import ListFetcher, Row, TableRows, list_request

IMPORTS, IMPORT_RUNS = "warehouse_imports", "warehouse_import_runs"
ACCOUNT = "projects"
"""The endpoint that describes the account, its projects and its data views."""
OF_WORKSPACES = ("feature_flags", "experiments")
"""Tables whose address has the number of a data view."""

_CUSTOM_PROPERTY_ID = "custom_property_id"

PARAMS: Mapping[str, Mapping[str, str]] = {
    "feature_flags": {"include_archived": "true"},
    # without it another, older format is served
    "bookmarks": {"v": "2"},
    # without it only those of the account
    "alerts": {"skip_user_filter": "true"},
    "custom_events": {"custom_event": "true"},
}
"""Table -> parameters of the query string of its list."""


def read_feature_flags(fetcher: ListFetcher) -> TableRows:
    """The flags of the data view, archived ones included."""
    workspace = _find_workspace(fetcher)
    flags = fetcher.rows("feature_flags", PARAMS["feature_flags"], path_params=workspace)
    return {"feature_flags": flags}


def read_experiments(fetcher: ListFetcher) -> TableRows:
    """The experiments of the data view."""
    return {"experiments": fetcher.rows("experiments", path_params=_find_workspace(fetcher))}


def read_warehouse_imports(fetcher: ListFetcher) -> TableRows:
    """The imports from warehouses, and the latest runs of each."""
    imports = fetcher.rows(IMPORTS)
    runs = [run for row in imports if row.get("id") is not None for run in _runs(fetcher, row)]
    return {IMPORTS: imports, IMPORT_RUNS: runs}


def _runs(fetcher: ListFetcher, of: Row) -> list[Row]:
    history = fetcher.reply(IMPORT_RUNS, path_params={"import_id": str(of["id"])})
    listed = fetcher.take_object(IMPORT_RUNS, history).get("runs", [])
    runs = fetcher.objects(IMPORT_RUNS, fetcher.take_list(IMPORT_RUNS, listed))
    return [
        {"import_id": of["id"], "position": position, **run} for position, run in enumerate(runs)
    ]


def read_workspaces(fetcher: ListFetcher) -> TableRows:
    """The data views that the account can read, of all its projects."""
    rows: list[Row] = []
    for id_, row in _workspaces(fetcher).items():
        if isinstance(row, dict):
            rows.append({"id": id_, **row})
        else:
            fetcher.reject("workspaces", {id_: row}, NOT_AN_OBJECT)
    return {"workspaces": rows}


def read_custom_properties(fetcher: ListFetcher) -> TableRows:
    """The custom properties, whose id has another name in the reply."""
    rows = fetcher.rows("custom_properties")
    return {
        "custom_properties": [
            {_CUSTOM_PROPERTY_ID if name == "customPropertyId" else name: row[name] for name in row}
            for row in rows
        ]
    }


def path_params(table: str, config: Config) -> dict[str, str] | None:
    """What the path of a table needs; None if it is not known before a request."""
    if table not in OF_WORKSPACES:
        return {}
    return {"workspace_id": str(config.workspace_id)} if config.workspace_id else None


def _find_workspace(fetcher: ListFetcher) -> dict[str, str]:
    """The data view whose objects are read, as a parameter of a path.

    Raises:
        ReplyError: the account names none.
    """
    if fetcher.workspace_id:
        return {"workspace_id": str(fetcher.workspace_id)}
    own = {
        id_: row
        for id_, row in _workspaces(fetcher).items()
        if isinstance(row, dict) and str(row.get("project_id")) == str(fetcher.project_id)
    }
    if not own:
        raise ReplyError(
            f"Mixpanel names no data view of project_id {fetcher.project_id}. Set workspace_id to "
            "the number in the address of the project's pages, after /view/.",
            subject=list_request(fetcher.table, ACCOUNT).label,
        )
    return {"workspace_id": max(own, key=lambda id_: _rank(own[id_]))}


def _rank(workspace: Row) -> tuple[bool, bool]:
    return bool(workspace.get("is_global")), bool(workspace.get("is_default"))


def _workspaces(fetcher: ListFetcher) -> dict[str, Any]:
    account = fetcher.take_object(ACCOUNT, fetcher.reply(ACCOUNT))
    return fetcher.take_object(ACCOUNT, account.get("workspaces") or {})
