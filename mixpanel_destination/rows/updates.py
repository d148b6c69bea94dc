"""Updates of profiles of users and groups, as they are sent to /engage and /groups.

Pure. The token of the project is no part of a staged update; it joins when the update is sent.

Source: https://developer.mixpanel.com/reference/profile-batch-update
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mixpanel_source.decode.json_values import content_digest, dump_json, repair_row

from .. import constants
from .events import hold
from .properties import PROFILE_REMOVED
from .staged import Staged

OPERATIONS = ("set", "set_once", "union", "unset", "remove", "add", "append", "delete")
UNREPEATABLE = frozenset(("$add", "$append"))
"""Operations whose effect doubles if an update is sent twice."""
GROUP_OPERATIONS = frozenset(("$set", "$set_once", "$union", "$unset", "$remove", "$delete"))
_NAMES = {f"${operation}" for operation in OPERATIONS}
_ENVELOPE = frozenset(("$token", "$ip", "$ignore_time", "$ignore_alias", "$time", "$latitude"))
_IDS = ("$distinct_id", "distinct_id")
_GROUP_IDS = ("$group_id", "group_id", *_IDS)


@dataclass
class UpdatePacker:
    """Packs the updates of one set, and counts what it changes."""

    operation: str = "set"
    """What is done with the properties of a row that is no update yet; one of `OPERATIONS`."""
    group_key: str | None = None
    """Of the groups whose profiles these are; None for users."""
    keep_ip: bool = False
    """Whether Mixpanel shall locate the address that an update is sent from."""
    changes: Counter[str] = field(default_factory=Counter)
    """Number of rows by what was changed in them."""
    operations: Counter[str] = field(default_factory=Counter)
    """Number of rows by operation."""
    deletions_allowed: bool = False
    """Whether an update may delete a profile."""

    def pack(self, line: bytes) -> Staged:
        """Pack an update.

        Args:
            line: JSON of an object: an update such as `{"$distinct_id": ..., "$set": {...}}`, a
                profile as Mixpanel exports it, or an object with an id and the properties.
        """
        repairs: Counter[str] = Counter()
        try:
            row = repair_row(line, repairs)
        except ValueError:
            return hold(line, ": is not an object")
        for kind, number in repairs.items():
            self.changes[f"values repaired ({kind})"] += number
        if row.pop("$token", None) is not None:
            self.changes["$token removed"] += 1
        identity, problem = self._identity(row)
        if problem:
            return hold(line, problem)
        update = self._update(row)
        if isinstance(update, str):
            return hold(line, update)
        ip = {} if self.keep_ip else {"$ip": "0"}
        ignore = {} if "$delete" in update else {"$ignore_time": True}
        return self._stage({**ip, **ignore, **identity, **update}, str([*identity.values()][-1]))

    def _identity(self, row: dict[str, Any]) -> tuple[dict[str, Any], str]:
        """What names the profile, taken out of the row, and what is wrong with it."""
        names = _IDS if self.group_key is None else _GROUP_IDS
        given = [row.pop(name, None) for name in names]
        value = next((item for item in given if item is not None and item != ""), None)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            return {}, f"{names[0]}: is missing"
        if value in constants.FORBIDDEN_IDS:
            return {}, f"{names[0]}: is a placeholder that Mixpanel refuses"
        if self.group_key is None:
            return {"$distinct_id": value}, ""
        key = row.pop("$group_key", None) or self.group_key
        return {"$group_key": key, "$group_id": value}, ""

    def _update(self, row: dict[str, Any]) -> dict[str, Any] | str:
        """The operations of a row, or what is wrong with it."""
        if row.keys() & _NAMES:
            update = {name: row[name] for name in row if name in _NAMES or name in _ENVELOPE}
        else:
            update = self._from_profile(row)
        names = update.keys() & _NAMES
        if self.group_key is not None and not names <= GROUP_OPERATIONS:
            return f"{min(names - GROUP_OPERATIONS)}: is not possible for groups"
        if "$delete" in names and not self.deletions_allowed:
            return "$delete: is not sent by an import"
        return update

    def _from_profile(self, row: Mapping[str, Any]) -> dict[str, Any]:
        properties = row.get("$properties", row.get("properties", row))
        if not isinstance(properties, dict):
            properties = row
        # in a table every profile has every column
        is_flat = properties is row
        kept = {
            name: value
            for name, value in properties.items()
            if name not in PROFILE_REMOVED and not (is_flat and value is None)
        }
        removed = [name for name in properties if name in PROFILE_REMOVED]
        self.changes.update(f"{name} removed" for name in removed)
        operation = f"${self.operation}"
        if self.operation == "unset":
            return {operation: [*kept]}
        if self.operation == "delete":
            return {operation: ""}
        if self.operation == "union":
            kept = {
                name: value if isinstance(value, list) else [value] for name, value in kept.items()
            }
        return {operation: kept}

    def _stage(self, update: dict[str, Any], profile: str) -> Staged:
        payload = dump_json(update)
        size = len(payload.encode())
        names = [name for name in update if name in _NAMES]
        self.operations.update(names)
        problem = ""
        if size > constants.ROW_BYTES_MAX:
            problem = f"update: has {size:,} bytes, more than a megabyte"
        return Staged(
            key=content_digest(update).hex(),
            content=content_digest(update.get("$set", update)).hex(),
            day="",
            event=" ".join(names),
            insert_id=profile,
            bytes=size,
            payload=payload,
            problem=problem,
            names=dump_json([*update.get("$set", {})]),
            held=bool(problem),
        )


def served_profile(line: bytes, names: Sequence[str]) -> str:
    """Digest of properties of a profile as the project serves it, as `Staged.content` has it.

    Args:
        line: JSON of a profile.
        names: of the properties to take; those that it lacks are left out.
    """
    properties = repair_row(line, Counter()).get("$properties", {})
    return content_digest({name: properties[name] for name in names if name in properties}).hex()
