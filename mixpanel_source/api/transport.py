"""The only module that opens sockets: one authenticated HTTP request at a time."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import requests
from requests.auth import HTTPBasicAuth

from .. import constants
from ..catalog.endpoint import QUERY, Endpoint
from ..config.model import Config
from .request import Request


class Transport:
    """Sends requests to the hosts of one project, once each."""

    def __init__(self, config: Config) -> None:
        """Prepare a session; nothing is sent."""
        self._config = config
        self._hosts = {
            "query": config.base_url,
            "export": config.export_base_url,
            "ingestion": config.ingestion_base_url,
        }
        self._session = requests.Session()
        # as bytes: for text that is not latin-1 requests raises an error that shows it
        self._session.auth = HTTPBasicAuth(config.username.encode(), config.secret.encode())
        self._session.headers.update({"Accept-Encoding": "gzip", "User-Agent": "mixpanel-source"})

    def open(self, request: Request) -> requests.Response:
        """Send a request and return the response, whose body is still to be read.

        Raises:
            requests.RequestException: there was no response; see `connection_errors`.
        """
        return self._session.request(
            request.endpoint.method,
            self.host(request) + self._path(request),
            params={**self._scope(request.endpoint), **request.params},
            data=request.form,
            json=self._json(request),
            stream=True,
            allow_redirects=False,
            timeout=(constants.CONNECT_TIMEOUT_SECONDS, constants.READ_TIMEOUT_SECONDS),
        )

    def host(self, request: Request) -> str:
        """The base address of the host that a request is sent to."""
        return self._hosts[request.endpoint.host]

    def _json(self, request: Request) -> dict[str, Any] | None:
        if request.json is None:
            return None
        return {"project_id": self._config.project_id, **request.json}

    def _path(self, request: Request) -> str:
        values = {name: quote(value, safe="") for name, value in request.path_params.items()}
        return request.endpoint.path.format(project_id=self._config.project_id, **values)

    def _scope(self, endpoint: Endpoint) -> dict[str, str]:
        """The project and, where the API has them, the data view."""
        scope = {"project_id": str(self._config.project_id)}
        if self._config.workspace_id is not None and endpoint.path.startswith(QUERY):
            scope["workspace_id"] = str(self._config.workspace_id)
        return scope
