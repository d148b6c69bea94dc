"""One request to Mixpanel's API, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..catalog.endpoint import Endpoint
from ..windows import Window


@dataclass(frozen=True)
class Request:
    """One request: the endpoint, its parameters, and what the reply is for.

    `table`, `part`, `window` and `detail` say what the reply is for. Nothing but people reads the
    label that is made of them.
    """

    endpoint: Endpoint
    table: str = ""
    """The selected table that the reply is loaded to; empty if it is loaded to none."""
    part: str = ""
    """The cohort, group type or report, in a table that is loaded part by part."""
    window: Window | None = None
    """The days, in a table that is loaded day by day."""
    detail: str = ""
    """What else tells this request from others for the same table, such as `page 3`."""
    params: Mapping[str, str] = field(default_factory=dict)
    """Of the query string, without project and data view."""
    form: Mapping[str, str] | None = None
    """Of the form in the body."""
    json: Mapping[str, Any] | None = None
    """Of the JSON object in the body, without the project."""
    path_params: Mapping[str, str] = field(default_factory=dict)
    """Values for the placeholders of the endpoint's path, other than `project_id`."""
    free: bool = False
    """Whether it does not count, although the endpoint is metered."""
    hidden: tuple[str, ...] = ()
    """Values that no message may show, in case Mixpanel repeats them."""

    @property
    def scope(self) -> str:
        """Part, window and detail, for people; empty for a whole table."""
        words = (self.part, str(self.window or ""), self.detail)
        return " ".join(word for word in words if word)

    @property
    def label(self) -> str:
        """What was requested, for people: `export 2026-01-31`, `engage page 3`."""
        return f"{self.table} {self.scope}".strip()

    @property
    def host_setting(self) -> str:
        """The setting with the address of the host that it is sent to."""
        host = self.endpoint.host
        return "base_url" if host == "query" else f"{host}_base_url"

    @property
    def metered(self) -> bool:
        """Whether it counts against a quota."""
        return self.endpoint.quota is not None and not self.free

    @property
    def quota(self) -> str:
        """Name of the quota it counts against; empty if none."""
        return self.endpoint.quota or ""
