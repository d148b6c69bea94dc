"""The addresses of PostgreSQL that libpq takes, of which dlt takes a part.

A password may come from `.pgpass` or not be needed at all (trust, peer, certificates), the host may
be a socket, and the address a connection string such as `host=db dbname=mixpanel`.

Source: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING.
"""

from __future__ import annotations

import re
from typing import Any

from dlt.common.configuration import configspec
from dlt.common.configuration.specs.exceptions import InvalidConnectionString
from dlt.common.libs.sql_alchemy_shims import URL
from dlt.common.typing import TSecretStrValue
from dlt.destinations.impl.postgres.configuration import (
    PostgresClientConfiguration,
    PostgresCredentials,
)

_SCHEME = re.compile(r"postgres(ql)?(\+\w+)?://", re.IGNORECASE)
"""Also with the driver, as SQLAlchemy writes it."""
_FIELDS = {"user": "username", "password": "password", "host": "host", "dbname": "database"}
"""libpq's name -> dlt's."""


@configspec(init=False)
class LibpqCredentials(PostgresCredentials):
    """Credentials of which only the database is required."""

    username: str | None = None  # type: ignore[assignment] # wider than dlt's
    password: TSecretStrValue | None = None  # type: ignore[assignment] # wider than dlt's
    host: str | None = None  # type: ignore[assignment] # wider than dlt's

    def parse_native_representation(self, native_value: Any) -> None:  # noqa: ANN401 - as overridden
        """Parse an address or a connection string.

        Raises:
            InvalidConnectionString: it is neither.
        """
        try:
            from psycopg2 import ProgrammingError  # noqa: PLC0415 - an extra
            from psycopg2.extensions import parse_dsn  # noqa: PLC0415 - as above
        except ImportError:
            # the client of the destination reports it
            super().parse_native_representation(native_value)
            return
        refusal = InvalidConnectionString(type(self), native_value, self.drivername)
        if not isinstance(native_value, str) or not native_value.strip():
            raise refusal
        try:
            self._set_parts(parse_dsn(_SCHEME.sub("postgresql://", native_value.strip(), count=1)))
        except (ProgrammingError, ValueError):
            raise refusal from None

    def to_url(self) -> URL:
        """The address, with what is not a single host in the query."""
        url = super().to_url()
        if not re.match(r"[/@]|.*,", self.host or ""):
            return url
        query: dict[str, Any] = {**url.query, "host": self.host}
        return URL.create(
            url.drivername, url.username, url.password, None, url.port, url.database, query
        )

    def to_native_representation(self) -> str:
        """The address for libpq, to which + in a query is not a blank."""
        address, mark, query = super().to_native_representation().partition("?")
        return address + mark + query.replace("+", "%20")

    def _set_parts(self, parts: dict[str, str]) -> None:
        """Set the fields to the parts of an address.

        Raises:
            ValueError: a part shows that a character in the password is not encoded, or is not a
                number.
        """
        # where an unencoded @ or / of the password leaves the rest of it
        if re.search(r"[@/]", parts.get("dbname", "")) or "@" in parts.get("host", "")[1:]:
            raise ValueError
        port = parts.pop("port", None)
        if port is not None and "," in port:
            parts["port"] = port
            port = None
        self.update({field: parts.pop(name) for name, field in _FIELDS.items() if name in parts})
        if port is not None:
            self.port = int(port)
        if "connect_timeout" in parts:
            self.connect_timeout = int(parts["connect_timeout"])
        self.client_encoding = parts.get("client_encoding", self.client_encoding)
        self.query = dict(parts)


@configspec
class LibpqConfiguration(PostgresClientConfiguration):
    """Configuration with these credentials."""

    credentials: LibpqCredentials = None  # type: ignore[assignment] # as dlt declares it

    def data_location(self) -> str:
        """Where the database is, without credentials."""
        credentials = self.credentials
        return f"{credentials.host or 'localhost'}:{credentials.port}/{credentials.database}"
