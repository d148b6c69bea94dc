"""One ad-hoc request, with the account, pace, quota, retries and messages of a sync.

The response is complete before any of it is used: it waits in an unnamed file, so a try that breaks
off leaves nothing behind, and an export of any size takes no memory.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from tempfile import TemporaryFile
from typing import IO, Any

from typing_extensions import Unpack

from .. import constants
from ..api.client import Client
from ..api.clock import Clock
from ..api.redaction import Redactor
from ..api.reply import Reply
from ..api.request import Request
from ..catalog.endpoint import Endpoint
from ..catalog.lookup import find_endpoint
from ..config.providers import load_config
from ..config.settings import Settings
from ..decode.framing import describe_bad_line, last_row
from ..decode.json_values import repair_row
from ..errors import ConfigError, MixpanelError, TruncatedError
from ..paths import data_directory
from .response import ApiResponse, describe

HIDDEN_CHARACTERS = 4
"""Parameter values of at least this many characters are kept out of messages."""
HEAD_BYTES = 256
TAIL_BYTES = 2 * 1024 * 1024
"""Bytes at the end of an export that are checked; an event has less than a megabyte."""


@contextmanager
def request(
    method: str,
    path: str,
    params: Mapping[str, str] | None = None,
    *,
    clock: Clock = time,
    max_wait_s: float = constants.QUOTA_PATIENCE_SECONDS,
    **settings: Unpack[Settings],
) -> Iterator[ApiResponse]:
    """Read any endpoint of the API; requests that might change the project are refused.

    Args:
        method: GET or POST.
        path: of the URL, in which `{project_id}` is filled in.
        params: of the query string or, with POST, of the body; without the project.
        clock: the time, and how to wait.
        max_wait_s: maximum seconds to wait for the quota.
        settings: take precedence over those configured.

    Raises:
        ConfigError: the request is malformed, or might change something; nothing was sent.
        RequestError: Mixpanel refused.
        UnavailableError: the last try failed as well.
        PausedError: the quota allows no request within `max_wait_s`.
    """
    endpoint = find_endpoint(method, path)
    config = load_config(settings)
    client = Client(config, clock=clock, directory=data_directory())
    with _writing():
        file = TemporaryFile(prefix="mixpanel-")  # noqa: SIM115 - closed below
    with file:
        receive = partial(_receive, endpoint, Redactor(config), file)
        client.send(_build_request(endpoint, params or {}), receive, patience_s=max_wait_s)
        yield ApiResponse(endpoint, file)


def _build_request(endpoint: Endpoint, params: Mapping[str, str]) -> Request:
    is_post = endpoint.method == "POST"
    is_json = is_post and endpoint.sends_json
    return Request(
        endpoint,
        detail=describe(endpoint),
        params={} if is_post else params,
        form=params if is_post and not is_json else None,
        json={name: _json_value(value) for name, value in params.items()} if is_json else None,
        free=endpoint.name == "engage" and bool(params.get("session_id")),
        hidden=tuple(value for value in params.values() if len(value) >= HIDDEN_CHARACTERS),
    )


def _json_value(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """A parameter of a JSON body: text that is JSON as what it means, other text as it is."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _receive(endpoint: Endpoint, redactor: Redactor, file: IO[bytes], reply: Reply) -> None:
    with _writing():
        file.seek(0)
        file.truncate()
    for chunk in redactor.stream(reply.inflated()):
        with _writing():
            file.write(chunk)
    with _writing():
        file.flush()
    reply.check_text()
    if endpoint.name == "export":
        _check_end(file)
    else:
        file.seek(0)
        if file.read(HEAD_BYTES).lstrip().lower().startswith((b"<html", b"<!doctype")):
            raise TruncatedError("the reply is an HTML page")


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MixpanelError(
            f"The directory for temporary files cannot be written: {error.strerror}. Make room, or "
            "set TMPDIR to a directory on another disk."
        ) from error


def _check_end(file: IO[bytes]) -> None:
    """Check that an export ends with a whole event.

    Raises:
        TruncatedError: it ends with something else, such as an error message.
    """
    file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
    last = last_row(file.read())
    if last and not _is_event(last):
        raise TruncatedError(describe_bad_line(last))


def _is_event(line: bytes) -> bool:
    try:
        return "event" in repair_row(line, Counter())
    except ValueError:
        return False


def parse_params(texts: Iterable[str]) -> dict[str, str]:
    """Parameters from `key=value` texts; values are used unchanged.

    Raises:
        ConfigError: a parameter has no key, is given twice, or is the project.
    """
    params: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name.strip() or not equals:
            raise ConfigError(f"-p {text!r} must be key=value, such as -p type=general.")
        if name == "project_id":
            raise ConfigError("-p project_id must be left out: it is the setting project_id.")
        if name in params:
            raise ConfigError(
                f"-p {name} is given twice; it must be given once. Lists are JSON, such as "
                """-p 'event=["Sign up","Order"]'."""
            )
        params[name] = value
    return params
