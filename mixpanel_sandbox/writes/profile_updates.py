"""/engage and /groups: updates of profiles of users and of groups.

Source: https://developer.mixpanel.com/reference/profile-batch-update
Source: https://developer.mixpanel.com/reference/group-batch-update
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

from ..context import Context
from ..messages import Request, Response, json_bytes
from ..project import Project
from .bodies import BodyError, read_form, split_rows
from .event_lines import PLACE
from .operations import DELETE, GROUP_OPERATIONS, OPERATIONS, apply
from .verdict import give_verdict

MAX_UPDATES = 2000
MAX_UPDATE_BYTES = 1024 * 1024

Update = dict[str, Any]


def update_profiles(context: Context, request: Request) -> Response:
    """Apply updates to user profiles; if one is malformed, none is applied.

    Each goes to the project of its token; without a known token it is dropped.
    """
    try:
        updates = _read_updates(request, ("$distinct_id",), frozenset(OPERATIONS))
    except BodyError as error:
        return give_verdict(request, str(error))
    located = request.params.get("ip", "1") != "0"
    with context.inbox.lock:
        for project in context.projects:
            own = [update for update in updates if update["$token"] == project.token]
            _complete(own, context, located=located)
            project.profiles = _apply(project.profiles, own, "$distinct_id")
    return give_verdict(request)


def update_groups(context: Context, request: Request) -> Response:
    """Apply updates to group profiles, as `update_profiles` does to users."""
    try:
        updates = _read_updates(request, ("$group_key", "$group_id"), GROUP_OPERATIONS)
    except BodyError as error:
        return give_verdict(request, str(error))
    with context.inbox.lock:
        for project in context.projects:
            own = [update for update in updates if update["$token"] == project.token]
            for key in dict.fromkeys(update["$group_key"] for update in own):
                of_key = [update for update in own if update["$group_key"] == key]
                group = _group_id(project, key)
                project.groups[group] = _apply(project.groups.get(group, []), of_key, "$group_id")
    return give_verdict(request)


def _read_updates(
    request: Request, keys: Sequence[str], operations: Collection[str]
) -> list[Update]:
    """Return the updates of a request.

    Raises:
        BodyError: There are too many, or one of them is malformed.
    """
    rows = split_rows(read_form(request), "application/json")
    if not 0 < len(rows) <= MAX_UPDATES:
        raise BodyError(f"{len(rows)} updates, must be 1 to {MAX_UPDATES}")
    for row in rows:
        if row.size > MAX_UPDATE_BYTES:
            raise BodyError(f"update exceeds max limit of {MAX_UPDATE_BYTES} bytes")
        _check(row.value, ("$token", *keys), {*operations, DELETE})
    return [row.value for row in rows]


def _check(update: object, keys: Sequence[str], operations: Collection[str]) -> None:
    if not isinstance(update, dict):
        raise BodyError("update must be an object")
    for key in keys:
        value = update.get(key)
        if isinstance(value, (dict, list)) or value in {None, ""}:
            raise BodyError(f"{key}, missing or empty")
    given = [name for name in update if name in operations]
    if not given:
        raise BodyError("no operation, must be one of " + ", ".join(sorted(operations)))
    for name in given:
        _check_argument(name, update[name])


def _check_argument(operation: str, argument: object) -> None:
    if operation == DELETE:
        return
    expected = OPERATIONS[operation][0]
    if not isinstance(argument, expected):
        raise BodyError(f"{operation}, must be a {'list' if expected is list else 'dictionary'}")
    values = argument.values() if isinstance(argument, dict) else ()
    if operation == "$union" and not all(isinstance(items, list) for items in values):
        raise BodyError("$union, values must be lists")
    if operation == "$add" and not all(isinstance(number, (int, float)) for number in values):
        raise BodyError("$add, values must be numbers")


def _complete(updates: Sequence[Update], context: Context, *, located: bool) -> None:
    """Add what Mixpanel sets along with an update: the time, and the place of its address."""
    for update in updates:
        if DELETE in update:
            continue
        properties = dict(update.get("$set", {}))
        if not update.get("$ignore_time"):
            properties.setdefault("$last_seen", context.now().isoformat()[:19])
        if update.get("$ip", None if located else "0") not in {0, "0"}:
            places = {"$country_code": PLACE["mp_country_code"], **PLACE}
            del places["mp_country_code"]
            properties = {**places, **properties}
        if properties:
            update["$set"] = properties


def _apply(rows: list[bytes], updates: Sequence[Update], id_key: str) -> list[bytes]:
    """Return the profiles with the updates applied, in their order; new ones are at the end."""
    if not updates:
        return rows
    ids = {str(update[id_key]) for update in updates}
    kept: dict[object, bytes | dict[str, Any]] = {}
    for number, row in enumerate(rows):
        profile = json.loads(row)
        distinct_id = str(profile.get("$distinct_id"))
        if distinct_id in ids:
            kept[distinct_id] = profile
        else:
            kept[number] = row
    for update in updates:
        distinct_id = str(update[id_key])
        if DELETE in update:
            kept.pop(distinct_id, None)
            continue
        new = {"$distinct_id": update[id_key], "$properties": {}}
        stored = kept.setdefault(distinct_id, new)
        if isinstance(stored, dict):
            for operation in OPERATIONS:
                if operation in update:
                    apply(stored["$properties"], operation, update[operation])
    return [row if isinstance(row, bytes) else json_bytes(row) for row in kept.values()]


def _group_id(project: Project, key: str) -> str:
    """Return the `data_group_id` of a group key, which is created if it is unknown."""
    return project.group_keys.setdefault(key, str(-sum(key.encode()) - 10**18))
