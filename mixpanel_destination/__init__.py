"""Write events and profiles to Mixpanel: staged, resumable, checked afterwards.

The public API is what `__all__` names; everything else is private.

`mixpanel` is a destination of dlt, `destination="mixpanel_destination.mixpanel"`, for resources
that `mixpanel_adapter` has prepared. The command `mixpanel-destination` does the rest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .adapter import mixpanel_adapter
    from .destination import mixpanel

_MODULES = {
    "mixpanel": ".destination",
    "mixpanel_adapter": ".adapter",
}
"""Public name -> the module that defines it."""

__all__ = [
    "mixpanel",
    "mixpanel_adapter",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - types are those of the imports above
    if name in _MODULES:
        return getattr(import_module(_MODULES[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
