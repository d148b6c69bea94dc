"""Connects ids of the same person, in projects with the original identity management.

None of it can be undone.

Source: https://developer.mixpanel.com/reference/create-identity
Source: https://developer.mixpanel.com/reference/identity-create-alias
Source: https://developer.mixpanel.com/reference/identity-merge
"""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import urlencode

from mixpanel_source.errors import ConfigError

from ... import constants
from ...api.call import Call
from ...api.client import Client
from ...api.replies import read_import, read_update
from ...endpoints import endpoint
from ..target import check_token
from .base import Outcome, Work, plain_work, refusal, send_to, to_json

UUID_VERSION = 4
FOREVER = "This cannot be undone. Projects with simplified identity management ignore or refuse it."


def identify(anonymous_id: str, user_id: str) -> Work:
    """Connect an anonymous id to the id of a user.

    Raises:
        ConfigError: an id cannot be one; Mixpanel would accept it and ignore it later.
    """
    _check_id("--anonymous", anonymous_id)
    _check_id("--user", user_id)
    if not _is_uuid(anonymous_id):
        raise ConfigError(
            f"--anonymous is {anonymous_id!r}, which is not a UUID of version 4: Mixpanel would "
            "accept the request and ignore it."
        )
    properties = {"$identified_id": user_id, "$anon_id": anonymous_id}
    what = f"Connect {anonymous_id} to the user {user_id}"
    return _track("create-identity", "$identify", properties, what)


def alias(distinct_id: str, new_alias: str) -> Work:
    """Give an id an alias.

    Raises:
        ConfigError: an id cannot be one.
    """
    _check_id("--distinct-id", distinct_id)
    _check_id("--alias", new_alias)
    _check_differ(distinct_id, new_alias)
    properties = {"distinct_id": distinct_id, "alias": new_alias}
    what = f"Make {new_alias} an alias of {distinct_id}"
    return _track("identity-create-alias", "$create_alias", properties, what)


def merge(first: str, second: str) -> Work:
    """Merge two ids.

    Raises:
        ConfigError: an id cannot be one.
    """
    for identifier in (first, second):
        _check_id("id", identifier)
    _check_differ(first, second)
    event = {"event": "$merge", "properties": {"$distinct_ids": [first, second]}}

    def send(client: Client) -> Outcome:
        # a refusal here is an answer about the ids, and no error
        call = Call(
            path=endpoint("identity-merge").path,
            label="identity merge",
            params={"strict": "1"},
            body=to_json([event]),
        )
        reply = client.send(call)
        verdict = read_import(reply, [""])
        why = verdict.whole or verdict.refused.get(0)
        if why is not None and not why.message:
            raise refusal(client, reply, call)
        refused = [client.words(why.message)] if why else []
        text = "nothing merged" if why else "accepted"
        return Outcome(text=text, facts={"accepted": not why}, refused=refused)

    return plain_work("identity merge", [f"Merge {first} and {second}", FOREVER], send)


def _track(name: str, verb: str, properties: dict[str, Any], what: str) -> Work:
    label = f"identity {'identify' if verb == '$identify' else 'alias'}"

    def send(client: Client) -> Outcome:
        # /track does not check it
        check_token(client)
        event = {"event": verb, "properties": {**properties, "token": client.settings.token}}
        form = urlencode({"data": to_json(event).decode(), "strict": "1"}).encode()
        reply = send_to(client, endpoint(name), label=label, body=form, params={"verbose": "1"})
        whole = read_update(reply).whole
        refused = [client.words(whole.message)] if whole else []
        text = "refused" if whole else "accepted; Mixpanel does not say whether it takes effect"
        return Outcome(text=text, facts={"accepted": not whole}, refused=refused)

    return plain_work(label, [what, FOREVER], send)


def _check_id(option: str, value: str) -> None:
    if not value.strip() or value.lower() in constants.FORBIDDEN_IDS:
        raise ConfigError(f"{option} is {value!r}, which Mixpanel does not take for an id.")


def _check_differ(first: str, second: str) -> None:
    if first == second:
        raise ConfigError("both ids are the same.")


def _is_uuid(text: str) -> bool:
    try:
        return uuid.UUID(text).version == UUID_VERSION
    except ValueError:
        return False
