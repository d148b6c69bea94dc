"""Authentication: HTTP Basic with a service account or a project secret, and the project id.

Source: https://developer.mixpanel.com/reference/service-accounts
Source: https://developer.mixpanel.com/reference/project-secret
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Literal

from ..messages import ApiError, Request, api_error
from ..project import Project

USERNAME = "sandbox.a1b2c3.mp-service-account"
SECRET = "sandbox-secret"  # noqa: S105 - a fixed secret that protects nothing
OAUTH_TOKEN = "sandbox-oauth-token"  # noqa: S105 - a fixed secret that protects nothing
PROJECT_SECRET = "sandbox-project-secret"  # noqa: S105 - a fixed secret that protects nothing

INVALID_KEY_ERROR = (
    "Unauthorized, invalid project secret. See docs for more information: "
    "https://developer.mixpanel.com/reference/authentication#project-secret"
)


@dataclass(frozen=True)
class Authenticator:
    """Checks the credentials and the project id of requests."""

    username: str
    secret: str
    project_secret: str
    failure_status: Literal[400, 401]
    """Older hosts answer all wrong credentials with 400 and the same text."""
    wrong_region: bool
    """Treat every project id as unknown, like the host of another region."""

    def authenticate(self, request: Request, project: Project) -> None:
        """Check a request for a project.

        Raises:
            ApiError: 400, 401 or 403, worded as the requested API words it.
        """
        username, secret = parse_basic(request.authorization)
        if request.path.startswith("/api/app/data-"):
            self._check_oauth(request, project)
        elif request.path.startswith("/api/app/"):
            self._check_app_api(request, (username, secret), project)
        elif secret:
            self._check_service_account(request, (username, secret), project)
        elif request.path == "/import" and username == project.token:
            self._check_project_id(request, project)
        else:
            self._check_project_secret(request, username, project)

    def _is_wrong_region(self, request: Request, project: Project) -> bool:
        return self.wrong_region or request.region != project.region

    def _check_oauth(self, request: Request, project: Project) -> None:
        # https://developer.mixpanel.com/reference/gdpr-api
        if request.authorization != f"Bearer {OAUTH_TOKEN}":
            raise api_error(401, "Unauthorized", request)
        known = request.params.get("token") == project.token
        if not known or self._is_wrong_region(request, project):
            raise api_error(403, "You do not have permission to access this project", request)

    def _check_app_api(
        self, request: Request, credentials: tuple[str, str], project: Project
    ) -> None:
        if credentials != (self.username, self.secret):
            raise api_error(401, "Invalid service account credentials", request)
        requested = request.path_params.get("project_id", str(project.project_id))
        if requested != str(project.project_id) or (
            "project_id" in request.path_params and self._is_wrong_region(request, project)
        ):
            raise api_error(403, "You do not have permission to access this project", request)

    def _check_service_account(
        self, request: Request, credentials: tuple[str, str], project: Project
    ) -> None:
        username, secret = credentials
        requested = request.params.get("project_id", "")
        if username != self.username:
            raise self._unauthorized("Not a valid service account username", request)
        if secret != self.secret:
            raise self._unauthorized("Invalid credentials", request)
        if not requested:
            # without a project id the host takes the username for a project secret
            raise self._unauthorized(INVALID_KEY_ERROR, request)
        if self._is_wrong_region(request, project):
            raise api_error(400, "invalid project id for cluster", request)
        if requested != str(project.project_id):
            raise api_error(403, "not a project member", request)

    def _check_project_secret(self, request: Request, secret: str, project: Project) -> None:
        wrong_region = self._is_wrong_region(request, project)
        if not secret or secret != self.project_secret or wrong_region:
            raise self._unauthorized(INVALID_KEY_ERROR, request)
        self._check_project_id(request, project)

    def _check_project_id(self, request: Request, project: Project) -> None:
        requested = request.params.get("project_id", str(project.project_id))
        if requested != str(project.project_id):
            error = "Mismatch between project secret's project ID and URL project ID"
            raise api_error(400, error, request)

    def _unauthorized(self, error: str, request: Request) -> ApiError:
        if self.failure_status == 400:  # noqa: PLR2004 - an HTTP status
            return api_error(400, "Unable to authenticate request", request)
        return api_error(401, error, request)


def parse_basic(authorization: str) -> tuple[str, str]:
    """Return user name and password, both empty if the header is missing or malformed."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        username, _, secret = base64.b64decode(encoded).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return username, secret
