"""The `$insert_id` of an event, by which Mixpanel recognises one that is sent again.

Pure. A valid id is kept. Otherwise the same event always gets the same id, whatever its place in a
file: from its old id or, without one, from its content. Equal events without an id are numbered.
"""

from __future__ import annotations

import re
from collections import Counter
from hashlib import blake2b

from .. import constants

_VALID = re.compile(r"[A-Za-z0-9-]{1,36}")
_BYTES = constants.INSERT_ID_BYTES_MAX // 2
"""Of a digest whose hex digits are an id."""


def is_valid(insert_id: object) -> bool:
    """Whether Mixpanel accepts an id."""
    return (
        isinstance(insert_id, str)
        and _VALID.fullmatch(insert_id) is not None
        and insert_id not in constants.FORBIDDEN_IDS
    )


class InsertIds:
    """Makes ids for the events of one set."""

    def __init__(self, salt: str = "") -> None:
        """Start a set.

        Args:
            salt: changes all ids, so that Mixpanel takes events whose ids it may still remember
                from before they were deleted there.
        """
        self._salt = salt.encode()
        self._seen: dict[int, int] = {}
        self.made: Counter[str] = Counter()
        """Number of ids made, by the reason: `missing`, `invalid`, `salted`."""

    def of(self, given: object, content: bytes) -> str:
        """The id that an event is sent with.

        Args:
            given: its own id; None or empty if it has none.
            content: digest of the event without its id.
        """
        if given is None or given == "":
            self.made["missing"] += 1
            number = self._number(content)
            return self._digest(b"content", content, b"%d" % number if number else b"")
        if not self._salt and is_valid(given):
            return str(given)
        self.made["salted" if is_valid(given) else "invalid"] += 1
        return self._digest(b"id", str(given).encode("utf-8", "surrogatepass"))

    def _number(self, content: bytes) -> int:
        """How many events with this content there were before."""
        # half of the digest: a collision would only number an event that needs no number
        short = int.from_bytes(content[:8], "big")
        number = self._seen.get(short, 0)
        self._seen[short] = number + 1
        return number

    def _digest(self, *parts: bytes) -> str:
        return blake2b(b"\0".join(parts), digest_size=_BYTES, key=self._salt[:64]).hexdigest()
