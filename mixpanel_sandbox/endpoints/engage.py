"""Profiles: a query whose result is held under a session id and read page by page.

Source: https://developer.mixpanel.com/reference/engage-query
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from ..context import World
from ..messages import Params, Reply, Request, json_bytes, refused
from .params import parse_where

MAX_PAGE_SIZE = 10_000
MAX_MOVING_ROWS = 1000
UNCACHED = "request for page in uncached query for params"

# what may differ from page to page of one query
_PAGING = ("session_id", "page", "project_id", "workspace_id")

Profile = dict[str, Any]


def engage(world: World, request: Request) -> Reply:
    """Answer with one page of profiles.

    Raises:
        RefusedError: 400, a parameter is wrong, or the page is of no session known.
    """
    query = {name: value for name, value in request.params.items() if name not in _PAGING}
    page = _parse_count(request, "page", 0)
    page_size = min(_parse_count(request, "page_size", 0) or world.page_size, MAX_PAGE_SIZE)
    session_id = request.params.get("session_id", "")
    rows = world.sessions.find(session_id, query)
    if rows is None or (page > 0 and _moves(query, rows)):
        if page > 0 or session_id:
            raise refused(400, f"{UNCACHED}: {json.dumps(query)}", request)
        rows = _select(world, request)
        session_id = world.sessions.start(query, rows)
    body: dict[str, Any] = {
        "page": page,
        "session_id": session_id,
        "status": "ok",
        "computed_at": world.now().isoformat(timespec="microseconds"),
    }
    if page == 0 or world.total_on_every_page:
        body |= {"page_size": page_size, "total": len(rows)}
    shown = rows[page * page_size : (page + 1) * page_size]
    return Reply(blocks=(json_bytes(body)[:-1], b',"results":[', b",".join(shown), b"]}"))


def is_free(request: Request) -> bool:
    """Return whether a request reads on in a session: only the first page counts in the quota."""
    return bool(request.params.get("session_id"))


def _moves(query: Params, rows: Sequence[bytes]) -> bool:
    """Return whether a large query by behaviors has no moment to hold on to."""
    moving = "behaviors" in query and "as_of_timestamp" not in query
    return moving and len(rows) > MAX_MOVING_ROWS


def _select(world: World, request: Request) -> list[bytes]:
    params = request.params
    if "behaviors" in params and "filter_by_cohort" in params:
        raise refused(400, "behaviors and filter_by_cohort are mutually exclusive", request)
    rows = _read_profiles(world, params)
    ids = _parse_ids(request)
    if "filter_by_cohort" in params:
        rows = _keep_cohort(world, request, rows)
    if ids is not None:
        rows = [row for row in rows if _distinct_id(row) in ids]
    rows = _keep_matching(request, rows)
    names = _parse_strings(request, "output_properties")
    return list(rows) if names is None else [_keep_properties(row, names) for row in rows]


def _read_profiles(world: World, params: Params) -> list[bytes]:
    group = params.get("data_group_id")
    return list(world.project.groups.get(group, ()) if group else world.project.profiles)


def _keep_cohort(world: World, request: Request, rows: list[bytes]) -> list[bytes]:
    try:
        cohort = json.loads(request.params["filter_by_cohort"])["id"]
    except (ValueError, KeyError, TypeError):
        error = 'Error in filter_by_cohort: must be a JSON object such as {"id": 1000}'
        raise refused(400, error, request) from None
    if cohort not in {known["id"] for known in world.project.cohorts}:
        raise refused(400, f"cohort {cohort} does not exist", request)
    members = dict.fromkeys(world.project.cohort_members.get(cohort, ()))
    found = {_distinct_id(row): row for row in rows}
    kept = [row for distinct_id, row in found.items() if distinct_id in members]
    if request.params.get("include_all_users", "true").lower() == "false":
        return kept
    strangers = (member for member in members if member not in found)
    return kept + [json_bytes({"$distinct_id": id_, "$properties": {}}) for id_ in strangers]


def _keep_matching(request: Request, rows: list[bytes]) -> list[bytes]:
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
    """Return a list given as JSON, as one bare string or as a repeated parameter."""
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
        raise refused(400, f"Error in {name}: must be a number that is not negative", request)
    return int(text) if text else default


def _keep_properties(row: bytes, names: Iterable[str]) -> bytes:
    profile: Profile = json.loads(row)
    properties = profile.get("$properties", {})
    profile["$properties"] = {name: properties[name] for name in names if name in properties}
    return json_bytes(profile)


def _distinct_id(row: bytes) -> str:
    return str(json.loads(row)["$distinct_id"])
