"""Requests to delete or retrieve the data of persons, as the law asks for.

They are carried out by Mixpanel within 30 days. The API takes an OAuth token instead of a service
account, and the project's token in the query string.

Source: https://developer.mixpanel.com/reference/gdpr-api
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from mixpanel_source.errors import ConfigError, MixpanelError, ReplyError, RequestError

from ...api.client import Client
from ...endpoints import WriteEndpoint, endpoint
from ...settings import Settings
from .base import Outcome, Work, count, plain_work, send_to, some, to_json

IDS_MAX = {"create-deletion": 1999, "create-retrieval": 2000}
REQUEST_SECONDS = 1.0
"""Between requests."""
COMPLIANCE_TYPES = ("GDPR", "CCPA")

Compliance = Literal["GDPR", "CCPA"]


def check_settings(settings: Settings) -> None:
    """Check that the settings have what the API takes.

    Raises:
        ConfigError: they lack it.
    """
    section = f"[destination.{settings.name}]"
    if settings.oauth_token is None:
        raise ConfigError(
            f"oauth_token is not set in {section}: requests about persons take it instead of the "
            "service account. Your personal settings in Mixpanel have it, under Data & Privacy."
        )
    if settings.token is None:
        raise ConfigError(f"token is not set in {section}.")


def delete(ids: Sequence[str], *, compliance: Compliance) -> Work:
    """Ask Mixpanel to delete persons, with all of their events."""
    what = f"{count(len(ids), 'person')} ({some(ids)}), with their events and profiles"
    known = endpoint("create-deletion")
    lines = [
        f"Ask Mixpanel to delete {what}, within 30 days. Until that has begun, "
        "`gdpr cancel` takes it back."
    ]
    return _create(known, ids, lines, compliance, destroys=what)


def retrieve(ids: Sequence[str], *, compliance: Compliance) -> Work:
    """Ask Mixpanel for all data of persons."""
    known = endpoint("create-retrieval")
    lines = [f"Ask Mixpanel for the data of {count(len(ids), 'person')} ({some(ids)})"]
    return _create(known, ids, lines, compliance)


def cancel(task_id: str) -> Work:
    """Cancel a deletion that has not begun."""

    def send(client: Client) -> Outcome:
        known = endpoint("delete-deletion")
        values, params = {"tracking_id": task_id}, _token(client)
        send_to(client, known, label="gdpr cancel", values=values, params=params)
        return Outcome(text=f"{task_id} cancelled", facts={"task_id": task_id})

    return plain_work("gdpr cancel", [f"Cancel the deletion {task_id}"], send)


def _create(
    known: WriteEndpoint,
    ids: Sequence[str],
    lines: Sequence[str],
    compliance: Compliance,
    *,
    destroys: str = "",
) -> Work:
    label = "gdpr delete" if destroys else "gdpr retrieve"
    size = IDS_MAX[known.name]

    def send(client: Client) -> Outcome:
        tasks: list[str] = []
        for start in range(0, len(ids), size):
            if start:
                client.clock.sleep(REQUEST_SECONDS)
            chunk = ids[start : start + size]
            body = to_json({"distinct_ids": chunk, "compliance_type": compliance})
            try:
                reply = send_to(client, known, label=label, body=body, params=_token(client))
                tasks.append(_task(reply.json(), label))
            except MixpanelError as error:
                if not tasks:
                    raise
                before = f"The first {start:,} were accepted as {', '.join(tasks)}."
                raise RequestError(f"{error.reason} {before}", subject=label) from error
        facts = {"task_ids": tasks, "persons": len(ids)}
        return Outcome(text=f"accepted as {', '.join(tasks)}", facts=facts)

    return plain_work(label, lines, send, destroys=destroys)


def _token(client: Client) -> dict[str, str]:
    return {"token": client.settings.token or ""}


def _task(body: Any, label: str) -> str:  # noqa: ANN401 - any JSON value
    results = body.get("results") if isinstance(body, dict) else None
    task = results.get("task_id") if isinstance(results, dict) else None
    if not isinstance(task, str):
        raise ReplyError("the reply has no task_id.", subject=label)
    return task
