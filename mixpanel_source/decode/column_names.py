"""How the name of a property becomes the name of a column.

Pure. No destination changes these names: they have only lower-case ASCII letters, digits and single
underscores, and leave room for the suffix of a variant column within PostgreSQL's limit.
"""

from __future__ import annotations

import re
import unicodedata
from hashlib import blake2b

from .. import constants
from .value_types import JsonType

_VARIANT_MARK = "__v_"
_VARIANT_BYTES = len(_VARIANT_MARK) + max(len(kind.value) for kind in JsonType)
_NAME_BYTES = constants.MAX_IDENTIFIER_BYTES - _VARIANT_BYTES
_HASH_DIGITS = 8


def readable_name(name: str) -> str:
    """The column name that a property gets if it is not taken, from the property's name alone.

    Only lower-case ASCII letters, digits and single underscores, at most 53 bytes. If letters had
    to be left out, a hash follows, because the rest could be mistaken for the whole name.
    """
    plain = unicodedata.normalize("NFKD", name.removeprefix("$"))
    letters = "".join(c for c in plain if not unicodedata.combining(c))
    # planName is plan_name, HTTPStatus is http_status
    words = re.sub(r"([a-z0-9])([A-Z])|([A-Z])([A-Z][a-z])", r"\1\3_\2\4", letters)
    text = re.sub(r"[^A-Za-z0-9]+", "_", words).strip("_").lower()
    text = f"mp_{text}".strip("_") if name.startswith("$") else text
    if text[:1].isdigit():
        text = f"_{text}"
    lost = not text or any(not c.isascii() and c.isprintable() for c in letters)
    if lost or len(text) > _NAME_BYTES:
        return hashed_name(text or "property", name)
    return text


def hashed_name(column: str, name: str, *, attempt: int = 0) -> str:
    """The column with eight digits of a hash of the name.

    Args:
        column: what the digits follow.
        name: of the property.
        attempt: a number from 0; each gives other digits.
    """
    salt = attempt.to_bytes(2, "big")
    mark = blake2b(name.encode(), digest_size=_HASH_DIGITS // 2, salt=salt).hexdigest()
    return f"{column[: _NAME_BYTES - _HASH_DIGITS - 1].rstrip('_')}_{mark}"


def variant_name(column: str, kind: JsonType) -> str:
    """The column for values of another type than those of `column`, named as dlt names it."""
    return f"{column}{_VARIANT_MARK}{kind.value}"
