"""Masks values of properties before they are written anywhere but to the spool.

Pure. A mask works on decoded rows, so compiled code and row-by-row decoding give the same. Where a
property is a list, each item is masked. An object is hashed as a whole, and otherwise left out,
because its keys may be values as well.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property, partial
from hashlib import blake2b, sha256
from typing import Any
from urllib.parse import urlsplit

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from .decoded import ARROW_TYPES, Decoded
from .event_time import MS_FROM, parse_moment
from .forgotten import PERSON_PROPERTIES
from .json_values import DIGEST_BYTES, dump_json
from .value_types import PROFILE, JsonType, RowKind, Typed

Value = Any
"""A JSON value."""
Rule = Callable[[Value], Value]
"""Masks text, a number, a flag or an object; None leaves the value out."""

ID = "distinct_id"
ID_PROPERTIES = (*PERSON_PROPERTIES, "$distinct_ids", "alias")
"""Properties that hold ids of persons: they are masked like `distinct_id`.

Sources: https://docs.mixpanel.com/docs/data-structure/property-reference/reserved-properties,
https://developer.mixpanel.com/reference/identity-api.
"""
DROP, HASH = "drop", "hash"
DEVICE = "$device:"
"""Precedes the id of a device where it stands for a user; a hash keeps it, so that it still says
that the user is anonymous, and the rest equals the hash of `$device_id`."""

_SECONDS = {"hour": 3_600, "day": 86_400}
_EMAIL = re.compile(r"@([\w-]+(?:\.[\w-]+)+)>?\s*$")
_TYPES: dict[type, JsonType] = {
    bool: JsonType.BOOL,
    int: JsonType.BIGINT,
    float: JsonType.DOUBLE,
    str: JsonType.TEXT,
    list: JsonType.JSON,
}
_read_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


@dataclass(frozen=True)
class Mask:
    """The rules of a dataset; false if there are none."""

    rules: Mapping[str, str]
    """Property -> rule, see `config.masking`."""
    key: bytes
    """Of the hashes."""
    seen: set[str] = field(default_factory=set, compare=False)
    """The masked properties that rows had, so that a misspelled rule is noticed."""

    def __bool__(self) -> bool:
        return bool(self.rules)

    def rule_of(self, name: str) -> str | None:
        """The rule for a property; None if it stays as it is."""
        rule = self.rules.get(name)
        if rule is None and name in ID_PROPERTIES:
            return self.rules.get(ID)
        return rule

    @cached_property
    def names(self) -> frozenset[str]:
        """The properties that are masked."""
        ids = ID_PROPERTIES if ID in self.rules else ()
        return frozenset((*self.rules, *ids))

    def mask(self, name: str, value: Value) -> Value:
        """A value of a property, masked; None if it is left out."""
        return value if name not in self.names else _apply(self._rule(name), value)

    def mask_id(self, person_id: str) -> str:
        """An id of a person, as `distinct_id` has it."""
        return str(self.mask(ID, person_id))

    def mask_properties(self, properties: Mapping[str, Value]) -> dict[str, Value]:
        """Properties of a row, without those that are dropped."""
        return {
            name: self.mask(name, value)
            for name, value in properties.items()
            if self.rule_of(name) != DROP
        }

    def apply(self, decoded: Decoded, kind: RowKind) -> Decoded:
        """Decoded rows, masked.

        Args:
            decoded: rows.
            kind: of the rows.
        """
        if not self:
            return decoded
        ids, raw, digests = decoded.names, decoded.raw_properties, decoded.digests
        if kind is PROFILE and ID in self.names:
            ids = _map_texts(ids, self.mask_id)
            self.seen.add(ID)
        self.seen.update(self.names.intersection(typed.name for typed in decoded.properties))
        return replace(
            decoded,
            names=ids,
            properties=self._mask_arrays(decoded.properties),
            raw_properties=None if raw is None else _map_texts(raw, self._mask_text),
            # a digest of known values would confirm a guess of the masked ones
            digests=None if digests is None else _map_texts(digests, self.keyed),
        )

    def keyed(self, text: str) -> str:
        """A digest that only somebody with the key can compute, for a digest of a row."""
        return blake2b(text.encode(), digest_size=DIGEST_BYTES, key=self._digest_key).hexdigest()

    def rekey(self, keys: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Keys of rows, changed like `keyed`; equal ones stay equal.

        Args:
            keys: shape (rows, `DIGEST_BYTES`).
        """
        hash_key = partial(blake2b, digest_size=DIGEST_BYTES, key=self._digest_key)
        digests = b"".join(hash_key(row).digest() for row in map(bytes, keys))
        return np.frombuffer(digests, np.uint8).reshape(keys.shape)

    def outline(self, value: Value) -> Value:
        """What a row of another shape looks like: its keys, and the types of its values."""
        if isinstance(value, dict):
            return {name: self.outline(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.outline(item) for item in value]
        return {str: "text", bool: "flag", int: "number", float: "number"}.get(type(value))

    @cached_property
    def _digest_key(self) -> bytes:
        return hmac.digest(self.key, b"keys of rows", "sha256")

    def _rule(self, name: str) -> Rule:
        kind, _, length = (self.rule_of(name) or DROP).partition(":")
        if kind == HASH:
            return partial(_hash, self.key)
        if kind == "truncate":
            return partial(_truncate, int(length))
        if kind == "domain":
            return _domain
        return partial(_coarsen, _SECONDS[kind]) if kind in _SECONDS else lambda _: None

    def _mask_arrays(self, properties: Mapping[Typed, pa.Array]) -> dict[Typed, pa.Array]:
        arrays: dict[Typed, list[pa.Array]] = {}
        for typed, array in properties.items():
            rule = self.rule_of(typed.name)
            if rule is None:
                arrays[typed] = [array]
            if rule in (None, DROP):
                continue
            for masked_type, masked in _mask_array(array, typed.type, self._rule(typed.name)):
                arrays.setdefault(Typed(typed.name, masked_type), []).append(masked)
        return {typed: pc.coalesce(*parts) for typed, parts in arrays.items()}

    def _mask_text(self, text: str) -> str:
        """JSON text of properties; what is not masked stays as it was sent."""
        try:
            members = {name: bytes(raw).decode() for name, raw in _read_members(text).items()}
        except (msgspec.DecodeError, RecursionError):
            members = {name: dump_json(value) for name, value in json.loads(text).items()}
        if self.names.isdisjoint(members):
            return text
        found = self.names.intersection(members)
        self.seen.update(found)
        for name in found:
            if self.rule_of(name) == DROP:
                del members[name]
            else:
                members[name] = dump_json(self.mask(name, json.loads(members[name], strict=False)))
        return f"{{{','.join(f'{dump_json(name)}:{raw}' for name, raw in members.items())}}}"


NO_MASK = Mask({}, b"")


def _apply(rule: Rule, value: Value) -> Value:
    if isinstance(value, list):
        return [_apply(rule, item) for item in value]
    # an empty text says that there is no value
    return value if value is None or value == "" else rule(value)


def _mask_array(
    array: pa.Array, json_type: JsonType, rule: Rule
) -> Iterable[tuple[JsonType, pa.Array]]:
    """Yields an array for each type that the masked values have."""
    encoded = array.dictionary_encode()
    values = encoded.dictionary.to_pylist()
    if json_type is JsonType.JSON:
        values = [json.loads(value, strict=False) for value in values]
    masked = [_apply(rule, value) for value in values]
    for masked_type in {_TYPES[type(value)] for value in masked if value is not None}:
        of_type = [
            dump_json(value) if isinstance(value, list) else value
            for value in (v if _TYPES.get(type(v)) is masked_type else None for v in masked)
        ]
        yield masked_type, pa.array(of_type, ARROW_TYPES[masked_type]).take(encoded.indices)


def _map_texts(texts: pa.Array, convert: Callable[[str], str]) -> pa.Array:
    encoded = texts.dictionary_encode()
    converted = [convert(text) for text in encoded.dictionary.to_pylist()]
    return pa.array(converted, pa.string()).take(encoded.indices)


def _text(value: Value) -> str:
    """The same text for the same id, whether it is a number or text: 42, 42.0 and "42" are one."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _hash(key: bytes, value: Value) -> str:
    text = _text(value)
    prefix = DEVICE if text.startswith(DEVICE) else ""
    rest = text.removeprefix(prefix).encode("utf-8", "surrogatepass")
    return prefix + hmac.new(key, rest, sha256).hexdigest()


def _truncate(length: int, value: Value) -> str | None:
    return None if isinstance(value, (bool, dict)) else _text(value)[:length]


def _domain(value: Value) -> str | None:
    """The domain of an e-mail address or URL; None for anything else."""
    if not isinstance(value, str):
        return None
    if "://" in value:
        with suppress(ValueError):
            return urlsplit(value.strip()).hostname
        return None
    found = _EMAIL.search(value)
    return found[1].lower() if found else None


def _coarsen(seconds: int, value: Value) -> Value:
    """The begin (UTC) of the hour or day of a time; None for anything else."""
    if isinstance(value, str):
        moment = parse_moment(value)
        return None if moment is None else _begin(moment, seconds).isoformat(timespec="seconds")
    if isinstance(value, (bool, dict)):
        return None
    unit = seconds * 1_000 if abs(value) >= MS_FROM else seconds
    return value // unit * unit


def _begin(moment: datetime, seconds: int) -> datetime:
    hour = 0 if seconds == _SECONDS["day"] else moment.hour
    return moment.replace(hour=hour, minute=0, second=0, microsecond=0)
