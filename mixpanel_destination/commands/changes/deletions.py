"""Deletes profiles of users and of groups; their events stay.

Source: https://developer.mixpanel.com/reference/delete-profile
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mixpanel_source.errors import ConfigError

from ... import constants
from ...api.client import Client
from ...api.replies import read_update
from ...endpoints import WriteEndpoint, endpoint
from ..target import check_token
from .base import Outcome, Work, count, plain_work, send_to, some, to_json

Update = dict[str, Any]

VERDICT = {"verbose": "1", "strict": "1", "ip": "0"}


def delete_profiles(ids: Sequence[str], *, ignore_alias: bool) -> Work:
    """Delete profiles of users.

    Args:
        ids: distinct ids.
        ignore_alias: whether an id stands for itself and not for what it is an alias of.
    """
    option = {"$ignore_alias": True} if ignore_alias else {}
    updates = [{"$distinct_id": identifier, "$delete": "", **option} for identifier in ids]
    what = f"{count(len(ids), 'profile')} ({some(ids)})"
    return _delete(endpoint("delete-profile"), updates, what, label="profiles delete")


def delete_groups(group_key: str, ids: Sequence[str]) -> Work:
    """Delete profiles of groups.

    Raises:
        ConfigError: the group key is empty.
    """
    if not group_key:
        raise ConfigError("--group-key is empty.")
    updates = [
        {"$group_key": group_key, "$group_id": identifier, "$delete": ""} for identifier in ids
    ]
    what = f"{count(len(ids), 'group profile')} of {group_key} ({some(ids)})"
    return _delete(endpoint("delete-group"), updates, what, label="groups delete")


def _delete(known: WriteEndpoint, updates: Sequence[Update], what: str, *, label: str) -> Work:
    def send(client: Client) -> Outcome:
        check_token(client)
        refused = [*_send_all(client, known, updates, label)]
        accepted = len(updates) - len(refused)
        # Mixpanel does not report which of them existed
        text = f"{count(accepted, 'deletion')} accepted"
        return Outcome(text=text, facts={"accepted": accepted}, refused=refused)

    lines = [f"Delete {what}. Their events stay."]
    return plain_work(label, lines, send, destroys=what)


def _send_all(
    client: Client, known: WriteEndpoint, updates: Sequence[Update], label: str
) -> Iterator[str]:
    for start in range(0, len(updates), constants.BATCH_ROWS):
        yield from _send(client, known, updates[start : start + constants.BATCH_ROWS], label)


def _send(
    client: Client, known: WriteEndpoint, updates: Sequence[Update], label: str
) -> Iterator[str]:
    """Send updates; yields a line for each that Mixpanel refuses.

    It gives one verdict for a request and stores nothing of a bad one, so that is halved.
    """
    token = client.settings.token
    body = to_json([{"$token": token, **update} for update in updates])
    verdict = read_update(send_to(client, known, label=label, body=body, params=VERDICT))
    if verdict.whole is None and verdict.limit is None:
        return
    if len(updates) == 1:
        update, whole = updates[0], verdict.whole
        identifier = update.get("$distinct_id", update.get("$group_id"))
        yield f"{identifier}: {client.words(whole.message if whole else 'too large')}"
        return
    middle = len(updates) // 2
    yield from _send(client, known, updates[:middle], label)
    yield from _send(client, known, updates[middle:], label)
