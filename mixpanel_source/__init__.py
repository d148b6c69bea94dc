"""Loads Mixpanel's events, profiles, cohorts and reports with dlt, nothing lost and nothing twice.

What is named here is imported when it is first asked for: dlt takes half a second, and neither
`mixpanel-source --help` nor a process that only decodes needs it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .source import Job, mixpanel_source

__all__ = ["Job", "mixpanel_source"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - types are those of the imports above
    if name in __all__:
        return getattr(import_module(".source", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
