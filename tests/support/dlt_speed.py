"""Answers questions about types from memory, which dlt asks thousands of times in each sync.

The answers depend on nothing but the type. Tests run a thousand syncs, which take an eighth
less time with this.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache, wraps
from typing import Any

from dlt.common import typing, validation
from dlt.common.configuration.specs import base_configuration
from typing_extensions import get_type_hints

QUESTIONS: dict[str, Callable[..., Any]] = {
    "is_secret_hint": base_configuration.is_secret_hint,
    "extract_inner_hint": base_configuration.extract_inner_hint,
    "is_union_type": typing.is_union_type,
    "is_optional_type": typing.is_optional_type,
}
"""Name in dlt's modules -> function."""


@cache
def _type_hints(spec: type) -> dict[str, Any]:
    return get_type_hints(spec, globalns=vars(sys.modules[spec.__module__]))


def remember_answers() -> None:
    """Make the modules of dlt that are loaded use functions that remember their answers."""
    # the namespace, which dlt passes too, is always that of the module
    vars(validation)["get_type_hints"] = lambda spec, **_namespace: _type_hints(spec)
    remembering = {name: _remembering(function) for name, function in QUESTIONS.items()}
    modules = [module for name, module in sys.modules.items() if name.startswith("dlt.")]
    for module in modules:
        for name, function in QUESTIONS.items():
            if vars(module).get(name) is function:
                setattr(module, name, remembering[name])


def _remembering(function: Callable[..., Any]) -> Callable[..., Any]:
    remembered = cache(function)

    @wraps(function)
    def answer(*args: Any, **kwargs: Any) -> Any:
        try:
            return remembered(*args, **kwargs)
        except TypeError:  # a type that has no hash
            return function(*args, **kwargs)

    return answer
