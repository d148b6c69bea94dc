"""The operations on the properties of a profile.

Source: https://developer.mixpanel.com/reference/profile-set and the pages beside it
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Properties = dict[str, Any]

DELETE = "$delete"


def apply(properties: Properties, operation: str, argument: dict[str, Any] | list[str]) -> None:
    """Change properties in place.

    Args:
        properties: Properties of a profile.
        operation: A key of `OPERATIONS`.
        argument: Its argument, of the type that `OPERATIONS` has.
    """
    OPERATIONS[operation][1](properties, argument)


def _set(properties: Properties, values: Mapping[str, Any]) -> None:
    properties.update(values)


def _set_once(properties: Properties, values: Mapping[str, Any]) -> None:
    properties.update({name: value for name, value in values.items() if name not in properties})


def _add(properties: Properties, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        current = properties.get(name, 0)
        if _is_number(current) and _is_number(value):
            properties[name] = current + value


def _append(properties: Properties, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        properties[name] = [*_as_list(properties.get(name)), value]


def _union(properties: Properties, values: Mapping[str, Any]) -> None:
    for name, items in values.items():
        known = _as_list(properties.get(name))
        for item in items:
            if item not in known:
                known.append(item)
        properties[name] = known


def _remove(properties: Properties, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(properties.get(name), list):
            properties[name] = [item for item in properties[name] if item != value]


def _unset(properties: Properties, names: list[str]) -> None:
    for name in names:
        properties.pop(name, None)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _as_list(value: object) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


OPERATIONS: dict[str, tuple[type, Callable[[Properties, Any], None]]] = {
    "$set": (dict, _set),
    "$set_once": (dict, _set_once),
    "$add": (dict, _add),
    "$append": (dict, _append),
    "$union": (dict, _union),
    "$remove": (dict, _remove),
    "$unset": (list, _unset),
}
"""Operation -> type of its argument, and what it does."""
GROUP_OPERATIONS = frozenset(OPERATIONS) - {"$add", "$append"}
"""Operations that /groups has."""
