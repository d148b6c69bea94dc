"""Parses the setting `mask`: which properties are masked, and how.

Pure. Property -> one of the rules:

- `drop` leaves the property out.
- `hash` stores HMAC-SHA-256 with `mask_key`, hexadecimal: equal values stay equal.
- `truncate:N` stores the first N characters.
- `domain` stores the domain of an e-mail address or URL.
- `hour` and `day` store the begin of the hour or day (UTC) of a time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from ..errors import ConfigError
from .parsers import Parser, type_of

RULES: Final = "drop, hash, truncate:N, domain, hour, day"
KEY_LENGTH: Final = 16
"""Minimum characters of `mask_key`: hashes of e-mail addresses are undone by guessing the key."""
UNMASKED: Final = "no mask"
ID: Final = "distinct_id"

MaskRules = tuple[tuple[str, str], ...]
"""Property and rule, sorted."""
_RULE = re.compile(r"drop|hash|truncate:[1-9][0-9]{0,3}|domain|hour|day")


def _mask(value: object) -> MaskRules:
    given = json.loads(value) if isinstance(value, str) else value
    if not isinstance(given, Mapping):
        raise TypeError
    for name, rule in given.items():
        if not isinstance(name, str) or not name.strip():
            raise ConfigError("mask: a property has no name.")
        if not isinstance(rule, str) or not _RULE.fullmatch(rule):
            raise ConfigError(f"mask: the rule of {name} is {rule!r}; it must be one of {RULES}.")
        if name in (ID, "$distinct_id") and rule != "hash":
            raise ConfigError(
                f"mask: the rule of {name} is {rule}; it must be hash, because events and profiles "
                "are joined by it."
            )
    rules = {ID if name == "$distinct_id" else str(name): str(rule) for name, rule in given.items()}
    return tuple(sorted(rules.items()))


def _key(value: object) -> str:
    if not isinstance(value, str) or len(value.strip()) < KEY_LENGTH:
        raise ValueError
    return value.strip()


parse_mask = Parser(
    _mask,
    "a table of properties and rules",
    "Mapping[str, str] | str",
    hint=f", [sources.mixpanel.mask] in config.toml, or JSON text; the rules are {RULES}",
    show=type_of,
)
parse_mask_key = Parser(
    _key, f"text of {KEY_LENGTH} characters or more", "str", hint=", in quotes", show=type_of
)
"""A secret: a refused value is not shown."""


def hash_text(key: str | None) -> str:
    """What `_mixpanel_columns` says of a property that is hashed."""
    return f"hash with key {describe_key(key)}"


def check_mask(rules: MaskRules, key: str | None, archive: str | None) -> None:
    """Check that the settings of a mask fit each other.

    Raises:
        ConfigError: the key is missing, or an archive would hold what is masked.
    """
    if rules and key is None:
        raise ConfigError(
            "mask_key is not set, but mask is. Set it in [sources.mixpanel] of .dlt/secrets.toml "
            f"to random text of {KEY_LENGTH} characters or more, such as `openssl rand -hex 32` "
            "prints, and keep it: with another key, hashes of the same value differ."
        )
    if rules and archive is not None:
        raise ConfigError(
            "archive and mask are both set, but an archive keeps what Mixpanel serves, unmasked. "
            "Leave out one of them. A load from an archive (--from-archive) is masked."
        )


def describe_key(key: str | None) -> str:
    """Identifies a key without revealing it."""
    return sha256(f"mask_key {key}".encode()).hexdigest()[:8]


def describe_mask(rules: MaskRules, key: str | None) -> str:
    """Identifies a mask and its key, as the state keeps it for each day."""
    if not rules:
        return UNMASKED
    digest = sha256(json.dumps(rules).encode()).hexdigest()[:8]
    return f"version {digest} with key {describe_key(key)}"


def key_of(description: str) -> str:
    """What a description says of the key; the same for all masks with the same key."""
    return description.rpartition(" ")[2]
