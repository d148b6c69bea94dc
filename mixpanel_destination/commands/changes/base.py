"""What all changes have in common."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from mixpanel_source.api.refusal_text import read_refusal
from mixpanel_source.errors import ConfigError, ReplyError, RequestError

from ...api.call import Call, Host, Reply
from ...api.client import Client
from ...endpoints import WriteEndpoint
from ...errors import ROWS_REFUSED

SHOWN = 5
"""Maximum names or ids that a message lists."""

_CONTENT_TYPES = {"csv": "text/csv", "form": "application/x-www-form-urlencoded"}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a change came to."""

    text: str
    """One line for people."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """The same for programs."""
    refused: Sequence[str] = ()
    """What Mixpanel refused, one line each."""

    @property
    def exit_code(self) -> int:
        """0, or 65 if something was refused."""
        return ROWS_REFUSED if self.refused else 0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A change that is ready to be confirmed."""

    lines: Sequence[str]
    """What will be done."""
    send: Callable[[], Outcome] | None
    """Carries it out; None if there is nothing to do."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """The result for programs, if there is nothing to do."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """A change whose arguments are valid; nothing was requested."""

    label: str
    """Of its requests."""
    destroys: str = ""
    """What it destroys for good; empty if nothing."""
    plan: Callable[[Client], Plan]
    """Reads what it has to know of the project."""


def plain_work(
    label: str, lines: Sequence[str], send: Callable[[Client], Outcome], *, destroys: str = ""
) -> Work:
    """A change that needs to know nothing of the project."""
    return Work(
        label=label,
        destroys=destroys,
        plan=lambda client: Plan(lines=lines, send=lambda: send(client)),
    )


def send_to(
    client: Client,
    known: WriteEndpoint,
    *,
    label: str,
    body: bytes | None = None,
    values: Mapping[str, object] | None = None,
    params: Mapping[str, str] | None = None,
    hidden: Sequence[str] = (),
) -> Reply:
    """Send a request to an endpoint of the table.

    Args:
        client: of the project.
        known: the endpoint.
        label: for messages.
        body: as the endpoint takes it.
        values: placeholders of its path, without the project.
        params: of the query string.
        hidden: secrets in the body, which no message may show.

    Raises:
        RequestError: Mixpanel refuses it.
        UncertainError: it may not be repeated, and it is not known whether it was carried out.
    """
    call = Call(
        path=fill_path(known.path, client.settings.project_id, values),
        label=label,
        method=known.method,
        host=known.host,
        params=params or {},
        body=body,
        content_type=_CONTENT_TYPES.get(known.sends, "application/json"),
        has_account=known.account == "service account",
        by_oauth=known.account == "OAuth token",
        is_repeatable=known.is_repeatable,
        hidden=hidden,
    )
    reply = client.send(call)
    if reply.status >= HTTPStatus.BAD_REQUEST:
        raise refusal(client, reply, call)
    return reply


def fill_path(path: str, project_id: int, values: Mapping[str, object] | None = None) -> str:
    """A path with its placeholders filled, quoted."""
    for name, value in {"project_id": project_id, **(values or {})}.items():
        path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
    return path


def read_list(client: Client, path: str, *, label: str, host: Host = "query", **params: str) -> Any:  # noqa: ANN401 - any JSON value
    """What an endpoint that lists things answers.

    Raises:
        RequestError: Mixpanel refuses it.
        ReplyError: the reply is not JSON.
    """
    path = fill_path(path, client.settings.project_id)
    call = Call(path=path, label=label, method="GET", host=host, params=params)
    reply = client.send(call)
    if reply.status >= HTTPStatus.BAD_REQUEST:
        raise refusal(client, reply, call)
    value = reply.json()
    if value is None:
        raise ReplyError("the reply is not JSON.", subject=label)
    return value


def refusal(client: Client, reply: Reply, call: Call) -> RequestError:
    """The error for a reply that refuses a request."""
    words = client.words(read_refusal(reply.body).text, hidden=call.hidden)
    reason = f"status {reply.status}, {words!r}. This request changed nothing."
    error = RequestError(reason, subject=call.label)
    error.answer = client.mask(reply.body.decode(errors="replace"), hidden=call.hidden)
    return error


def to_json(value: object) -> bytes:
    """The JSON of a body."""
    return orjson.dumps(value)


def read_text(source: str) -> str:
    """The text of a file, or of standard input for `-`.

    Raises:
        ConfigError: it cannot be read, or is not UTF-8.
    """
    try:
        if source == "-":
            return sys.stdin.buffer.read().decode("utf-8-sig")
        return Path(source).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{source} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{source} is not UTF-8.") from None


def read_ids(given: Iterable[str], source: str | None) -> list[str]:
    """Ids from the command line and from the lines of a file, without repetitions.

    Raises:
        ConfigError: there are none.
    """
    lines = read_text(source).split("\n") if source else []
    ids = [*given, *(line.removesuffix("\r") for line in lines)]
    unique = list(dict.fromkeys(identifier for identifier in ids if identifier.strip()))
    if not unique:
        raise ConfigError("no ids are given: name them, or give a file with --from.")
    return unique


def count(number: int, noun: str) -> str:
    """A number with its noun, such as `1 row` or `2,000 rows`."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def some(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more:,} more" if more > 0 else "")
