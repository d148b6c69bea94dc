"""Profiles: a query whose result is kept under a session id and read page by page.

Source: https://developer.mixpanel.com/reference/engage-query
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from ..context import Context
from ..messages import Params, Request, Response, api_error, json_bytes
from .params import parse_where

MAX_PAGE_SIZE = 10_000
MAX_BEHAVIOR_ROWS = 1000
UNCACHED = "request for page in uncached query for params"

# parameters that may differ between the pages of a query
_PAGING = ("session_id", "page", "project_id", "workspace_id")

Profile = dict[str, Any]


def engage(context: Context, request: Request) -> Response:
    """Return a page of profiles.

    Raises:
        ApiError: 400, a parameter is invalid, or a later page is requested without a valid session.
    """
    query = {name: value for name, value in request.params.items() if name not in _PAGING}
    page = _parse_count(request, "page", 0)
    page_size = min(_parse_count(request, "page_size", 0) or context.page_size, MAX_PAGE_SIZE)
    session_id = request.params.get("session_id", "")
    rows = context.sessions.find(session_id, query)
    if rows is None or (page > 0 and _cannot_be_paged(query, rows)):
        if page > 0 or session_id:
            raise api_error(400, f"{UNCACHED}: {json.dumps(query)}", request)
        rows = _select(context, request)
        session_id = context.sessions.start(query, rows)
    body: dict[str, Any] = {
        "page": page,
        "session_id": session_id,
        "status": "ok",
        "computed_at": context.now().isoformat(timespec="microseconds"),
    }
    if page == 0 or context.total_on_every_page:
        body |= {"page_size": page_size, "total": len(rows)}
    results = rows[page * page_size : (page + 1) * page_size]
    return Response(blocks=(json_bytes(body)[:-1], b',"results":[', b",".join(results), b"]}"))


def is_later_page(request: Request) -> bool:
    """Return whether a request continues a session; only first pages count towards the limits."""
    return bool(request.params.get("session_id"))


def _cannot_be_paged(query: Params, rows: Sequence[bytes]) -> bool:
    """Return whether a large query by behaviors lacks `as_of_timestamp`."""
    moving = "behaviors" in query and "as_of_timestamp" not in query
    return moving and len(rows) > MAX_BEHAVIOR_ROWS


def _select(context: Context, request: Request) -> list[bytes]:
    params = request.params
    if "behaviors" in params and "filter_by_cohort" in params:
        raise api_error(400, "behaviors and filter_by_cohort are mutually exclusive", request)
    rows = _read_profiles(context, params)
    ids = _parse_ids(request)
    if "filter_by_cohort" in params:
        rows = _filter_by_cohort(context, request, rows)
    if ids is not None:
        rows = [row for row in rows if _distinct_id(row) in ids]
    rows = _filter_by_expression(request, rows)
    names = _parse_strings(request, "output_properties")
    return list(rows) if names is None else [_keep_properties(row, names) for row in rows]


def _read_profiles(context: Context, params: Params) -> list[bytes]:
    group = params.get("data_group_id")
    return list(context.project.groups.get(group, ()) if group else context.project.profiles)


def _filter_by_cohort(context: Context, request: Request, rows: list[bytes]) -> list[bytes]:
    try:
        cohort = json.loads(request.params["filter_by_cohort"])["id"]
    except (ValueError, KeyError, TypeError):
        error = 'Error in filter_by_cohort: must be a JSON object such as {"id": 1000}'
        raise api_error(400, error, request) from None
    if cohort not in {known["id"] for known in context.project.cohorts}:
        raise api_error(400, f"cohort {cohort} does not exist", request)
    members = dict.fromkeys(context.project.cohort_members.get(cohort, ()))
    by_id = {_distinct_id(row): row for row in rows}
    kept = [row for distinct_id, row in by_id.items() if distinct_id in members]
    if request.params.get("include_all_users", "true").lower() == "false":
        return kept
    without_profile = (member for member in members if member not in by_id)
    return kept + [json_bytes({"$distinct_id": id_, "$properties": {}}) for id_ in without_profile]


def _filter_by_expression(request: Request, rows: list[bytes]) -> list[bytes]:
    params = request.params
    name = "where" if params.get("where") else "selector"
    if not params.get(name) or "behaviors" in params:
        return rows
    matches = parse_where(request, name)
    return [row for row in rows if matches(json.loads(row).get("$properties", {}))]


def _parse_ids(request: Request) -> frozenset[str] | None:
    if "distinct_id" in request.params:
        return frozenset([request.params["distinct_id"]])
    ids = _parse_strings(request, "distinct_ids")
    return None if ids is None else frozenset(ids)


def _parse_strings(request: Request, name: str) -> list[str] | None:
    """Parse a list given as JSON, as a single bare string or as a repeated parameter."""
    text = request.params.get(name)
    if not text:
        return None
    try:
        values = json.loads(text)
    except ValueError:
        values = text
    return [str(value) for value in values] if isinstance(values, list) else [text]


def _parse_count(request: Request, name: str, default: int) -> int:
    text = request.params.get(name, "")
    if text and not text.isdecimal():
        raise api_error(400, f"Error in {name}: must be a non-negative number", request)
    return int(text) if text else default


def _keep_properties(row: bytes, names: Iterable[str]) -> bytes:
    profile: Profile = json.loads(row)
    properties = profile.get("$properties", {})
    profile["$properties"] = {name: properties[name] for name in names if name in properties}
    return json_bytes(profile)


def _distinct_id(row: bytes) -> str:
    return str(json.loads(row)["$distinct_id"])
