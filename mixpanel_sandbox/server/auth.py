"""Who may ask: HTTP Basic with a service account or a project secret, and the project id.

Source: https://developer.mixpanel.com/reference/service-accounts
Source: https://developer.mixpanel.com/reference/project-secret
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Literal

from ..messages import RefusedError, Request, refused

USERNAME = "sandbox.a1b2c3.mp-service-account"
SECRET = "sandbox-secret"  # noqa: S105 - the made-up account of a made-up project
PROJECT_SECRET = "sandbox-project-secret"  # noqa: S105 - as above

INVALID_KEY_ERROR = (
    "Unauthorized, invalid project secret. See docs for more information: "
    "https://developer.mixpanel.com/reference/authentication#project-secret"
)


@dataclass(frozen=True)
class Doorkeeper:
    """Lets requests in that carry the right credentials for the right project."""

    username: str
    secret: str
    project_secret: str
    failure_status: Literal[400, 401]
    """Older hosts answer wrong credentials with 400 and one text for all of them."""
    wrong_region: bool
    """Every project id is unknown here, as on the host of another region."""

    def admit(self, request: Request, project_id: int) -> None:
        """Return if the request may go on.

        Raises:
            RefusedError: 400, 401 or 403 in the words of the family that was asked.
        """
        username, secret = _parse_basic(request.authorization)
        if request.path.startswith("/api/app/"):
            self._admit_to_app(request, (username, secret), project_id)
        elif secret:
            self._admit_service_account(request, (username, secret), project_id)
        else:
            self._admit_project_secret(request, username, project_id)

    def _admit_to_app(
        self, request: Request, credentials: tuple[str, str], project_id: int
    ) -> None:
        if credentials != (self.username, self.secret):
            raise refused(401, "Invalid service account credentials", request)
        asked = request.captured.get("project_id")
        if asked is not None and (self.wrong_region or asked != str(project_id)):
            raise refused(403, "You do not have permission to access this project", request)

    def _admit_service_account(
        self, request: Request, credentials: tuple[str, str], project_id: int
    ) -> None:
        username, secret = credentials
        asked = request.params.get("project_id", "")
        if username != self.username:
            raise self._unauthorised("Not a valid service account username", request)
        if secret != self.secret:
            raise self._unauthorised("Invalid credentials", request)
        if not asked:
            # without a project id the host takes the account for a project secret
            raise self._unauthorised(INVALID_KEY_ERROR, request)
        if self.wrong_region:
            raise refused(400, "invalid project id for cluster", request)
        if asked != str(project_id):
            raise refused(403, "not a project member", request)

    def _admit_project_secret(self, request: Request, secret: str, project_id: int) -> None:
        asked = request.params.get("project_id", str(project_id))
        if not secret or secret != self.project_secret or self.wrong_region:
            raise self._unauthorised(INVALID_KEY_ERROR, request)
        if asked != str(project_id):
            error = "Mismatch between project secret's project ID and URL project ID"
            raise refused(400, error, request)

    def _unauthorised(self, error: str, request: Request) -> RefusedError:
        if self.failure_status == 400:  # noqa: PLR2004 - the status itself
            return refused(400, "Unable to authenticate request", request)
        return refused(401, error, request)


def _parse_basic(authorization: str) -> tuple[str, str]:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        username, _, secret = base64.b64decode(encoded).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return username, secret
