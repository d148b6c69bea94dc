"""One request and its reply, as data.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

Host = Literal["query", "export", "ingestion"]


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request."""

    path: str
    """Of the URL, with its values quoted."""
    label: str
    """What is sent, for people: `import`, `annotations add`."""
    method: str = "POST"
    host: Host = "ingestion"
    params: Mapping[str, str] = field(default_factory=dict)
    """Of the query string, without the project."""
    body: bytes | None = field(default=None, repr=False)
    content_type: str = "application/json"
    compressed: bool = False
    """Whether to send the body with gzip."""
    has_account: bool = True
    """Whether to send the service account and the project; where the token is in the body, it is
    all that counts."""
    by_token: bool = False
    """Whether to send the token as credentials instead of the account."""
    by_oauth: bool = False
    """Whether to send the OAuth token as credentials instead of the account."""
    hidden: Sequence[str] = field(default=(), repr=False)
    """Secrets in the body, which no message may show."""
    is_repeatable: bool = True
    """Whether to send it again if it is not known whether it was carried out."""
    rows: int = 1
    """Rows in the body, for the pace."""


class Reply:
    """An answer of Mixpanel: any status but those that may pass."""

    def __init__(self, status: int, body: bytes) -> None:
        """Take a whole reply."""
        self.status = status
        self.body = body

    def json(self) -> Any:  # noqa: ANN401 - any JSON value
        """The value of the body; None if it is not JSON."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None
