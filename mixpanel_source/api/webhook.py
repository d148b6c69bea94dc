"""A notice to an address that the user configured."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Thread
from typing import Any, Final

import requests

TIMEOUT_SECONDS: Final = 10.0
"""Maximum time of the whole exchange."""


def post_json(url: str, content: Mapping[str, Any]) -> str:
    """Send JSON, once.

    Args:
        url: receives it; redirects are not followed.
        content: what to send.

    Returns:
        Why it did not arrive, without the address, which may hold a token; empty if it did.
    """
    outcome: list[str] = []

    def send() -> None:
        try:
            with requests.post(
                url, json=content, timeout=TIMEOUT_SECONDS, allow_redirects=False, stream=True
            ) as response:
                outcome.append("" if response.ok else f"status {response.status_code}")
        except (requests.RequestException, ValueError) as error:
            outcome.append(type(error).__name__)

    # the timeout of a request is for each read, and a server may send a byte at a time
    thread = Thread(target=send, name="mixpanel-webhook", daemon=True)
    thread.start()
    thread.join(TIMEOUT_SECONDS)
    return outcome[0] if outcome else f"no answer within {TIMEOUT_SECONDS:.0f} s"
