"""One address of Mixpanel's API, as data."""

from __future__ import annotations

from typing import Final, NamedTuple

PAGES: Final = "https://developer.mixpanel.com/reference/"
APP: Final = "/api/app/projects/{project_id}"
QUERY: Final = "/api/query"
PIPELINES: Final = "/api/2.0/nessie/pipeline"


class Endpoint(NamedTuple):
    """One address of the API, read only."""

    name: str
    """Ours: the name of the table it is loaded to, if there is one."""
    path: str
    """With placeholders: `{project_id}` and others."""
    page: str
    """Page of the reference."""
    required: tuple[str, ...] = ()
    """Required parameters."""
    optional: tuple[str, ...] = ()
    method: str = "GET"
    host: str = "query"
    """`query`, `export` or `ingestion`."""
    quota: str | None = "query"
    """One of `QUOTAS`; None if it is unmetered."""
    rows: str | None = None
    """Key of the reply that holds the rows; None if the reply itself does."""
    key: tuple[str, ...] = ()
    """Columns that identify a row of its table; empty if it has no table."""
    incremental: bool = False
    """Whether it can be limited to some days."""
    sends_json: bool = False
    """Whether the parameters are a JSON object in the body, rather than a form."""
    documented: bool = True
    """Whether Mixpanel documents it; others are known from its own clients, and may be refused."""

    @property
    def params(self) -> tuple[str, ...]:
        """All parameters, without those of the path and those that every request has."""
        return (*self.required, *self.optional)

    @property
    def paid(self) -> bool:
        """Whether free plans refuse it with status 402."""
        return self.quota == "query"

    @property
    def source(self) -> str:
        """URL of its page in the reference."""
        return PAGES + self.page
