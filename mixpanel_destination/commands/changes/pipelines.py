"""Creates, edits, pauses, resumes and cancels data pipelines.

Source: https://developer.mixpanel.com/reference/create-warehouse-pipeline
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any, Literal
from urllib.parse import urlencode

from mixpanel_source.errors import ConfigError

from ...api.client import Client
from ...endpoints import PIPELINES, WriteEndpoint, endpoint
from ...pipeline_fields import PIPELINE_EDIT_FIELDS, PIPELINE_FIELDS
from .base import Outcome, Plan, Work, count, read_list, read_text, send_to, some

Fields = Mapping[str, list[str]]
_SECRET = re.compile("password|secret|key")
MONTHS_BACK_DAYS = 183
"""Days before today from which a pipeline can begin."""


def parse_fields(texts: Iterable[str]) -> dict[str, list[str]]:
    """Fields from `KEY=VALUE`; a value `@FILE` is read from a file, for secrets.

    Raises:
        ConfigError: a text has no `=`, or a file cannot be read.
    """
    fields: dict[str, list[str]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ConfigError("-p must be KEY=VALUE.")
        given = read_text(value[1:]).strip() if value.startswith("@") else value
        fields.setdefault(name, []).append(given)
    return fields


def create(kind: str, fields: Fields) -> Work:
    """Create a pipeline.

    Raises:
        ConfigError: a field is missing, unknown or invalid.
    """
    known = PIPELINE_FIELDS[kind]
    is_trial = fields.get("trial") == ["true"]
    _check_names(fields, (*known.required, *known.optional), f"a pipeline of type {kind}")
    # a trial has defaults for some of them, which the specification does not name
    missing = [name for name in known.required if name not in fields and not is_trial]
    if missing:
        raise ConfigError(f"a pipeline of type {kind} needs {some(missing)}: give them with -p.")
    _check_first_day(fields)
    lines = [f"Create a data pipeline of type {kind}"]
    if is_trial:
        lines.append("A trial cannot be deleted.")

    def plan(client: Client) -> Plan:
        existing = _read_names(client)
        lines.append(f"{count(len(existing), 'pipeline')} now: {some(existing) or 'none'}")

        def send() -> Outcome:
            form = _encode({"type": [kind], **fields}, client)
            known_one = endpoint(_name("create"))
            label, hidden = "pipelines create", _secrets(fields)
            reply = send_to(client, known_one, label=label, body=form, hidden=hidden)
            body = reply.json()
            names = body.get("pipeline_names", []) if isinstance(body, dict) else []
            return Outcome(text=f"created {some(names)}", facts={"pipelines": names})

        return Plan(lines=lines, send=send)

    return Work(label="pipelines create", plan=plan)


def edit(name: str, fields: Fields) -> Work:
    """Change which events a pipeline exports, or where to.

    Raises:
        ConfigError: a field is unknown, or none is given.
    """
    if not fields:
        raise ConfigError("nothing to change: give fields with -p.")
    _check_names(fields, PIPELINE_EDIT_FIELDS, "the change of a pipeline")
    return _act("edit", name, fields, f"Change {some(sorted(fields))} of the pipeline {name}")


def act(action: Literal["pause", "resume", "cancel"], name: str) -> Work:
    """Pause, resume or cancel a pipeline; a cancelled one is gone with its history."""
    return _act(action, name, {}, f"{action.capitalize()} the pipeline {name}")


def _act(action: str, name: str, fields: Fields, line: str) -> Work:
    known = endpoint(_name(action))
    label = f"pipelines {action}"

    def plan(client: Client) -> Plan:
        existing = _read_names(client)
        if name not in existing:
            there = some(existing) or "none"
            raise ConfigError(f"there is no pipeline {name}; there are: {there}.")

        def send() -> Outcome:
            form = _encode({"name": [name], **fields}, client)
            send_to(client, known, label=label, body=form, hidden=_secrets(fields))
            return Outcome(text=f"{label}: done", facts={"name": name})

        return Plan(lines=[line], send=send)

    return Work(label=label, destroys=_destroyed(known, name), plan=plan)


def _secrets(fields: Fields) -> list[str]:
    return [value for name in fields if _SECRET.search(name) for value in fields[name]]


def _destroyed(known: WriteEndpoint, name: str) -> str:
    return f"the pipeline {name} with its history" if known.destroys else ""


def _name(action: str) -> str:
    return f"{action}-warehouse-pipeline"


def _encode(fields: Fields, client: Client) -> bytes:
    project = {"project_id": [str(client.settings.project_id)]}
    return urlencode({**fields, **project}, doseq=True).encode()


def _check_names(fields: Fields, known: Iterable[str], what: str) -> None:
    unknown = [name for name in fields if name not in known]
    if unknown:
        raise ConfigError(f"{what} has no {some(unknown)}; it has {', '.join(sorted(known))}.")


def _check_first_day(fields: Fields) -> None:
    for name in ("from_date", "to_date"):
        for text in fields.get(name, ()):
            try:
                day = date.fromisoformat(text)
            except ValueError:
                raise ConfigError(f"{name} is {text!r}; it must be YYYY-MM-DD.") from None
            # Mixpanel judges by its own today, which may be another one
            oldest = date.today() - timedelta(days=MONTHS_BACK_DAYS + 1)  # noqa: DTZ011
            if name == "from_date" and day < oldest:
                raise ConfigError(f"from_date is {text}; it must be within the last six months.")


def _read_names(client: Client) -> list[str]:
    found: Any = read_list(client, f"{PIPELINES}/jobs", label="pipelines", host="export")
    listed = found.values() if isinstance(found, dict) else []
    return [
        str(one.get("name"))
        for jobs in listed
        if isinstance(jobs, list)
        for one in jobs
        if isinstance(one, dict)
    ]
