"""Recognizes rows of persons who must not be loaded, by hashes of their ids.

Pure. Only salted hashes are stored, so the list of forgotten persons does not name them. Hashing
costs about a microsecond for each different id of a block, and nothing if nobody is forgotten.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from hashlib import blake2b

import pyarrow as pa
import pyarrow.compute as pc

from .decoded import Decoded
from .value_types import PROFILE, JsonType, RowKind, Typed

PERSON_PROPERTIES = (
    "distinct_id",
    "$distinct_id",
    "$distinct_id_before_identity",
    "$preshuffle_distinct_id",
    "$device_id",
    "$user_id",
    "$identified_id",
    "$anon_id",
)
"""Properties that hold an id of the person that a row is about.

Source: https://docs.mixpanel.com/docs/data-structure/property-reference/reserved-properties.
"""
SALT_BYTES = 16
"""Length of a salt; the maximum of blake2b."""

_ID_TYPES = (JsonType.TEXT, JsonType.BIGINT, JsonType.DOUBLE)


def hash_id(person_id: str, salt: bytes) -> str:
    """The hash of an id, as 64 hexadecimal digits."""
    return blake2b(person_id.encode(), digest_size=32, salt=salt).hexdigest()


class ForgottenIds:
    """The ids of forgotten persons, known only by their hashes; false if there are none."""

    def __init__(self, hashes: Iterable[tuple[bytes, str]] = ()) -> None:
        """Take up hashes.

        Args:
            hashes: the salt and the result of `hash_id` for each id.
        """
        self._by_salt: dict[bytes, set[str]] = defaultdict(set)
        for salt, digest in hashes:
            self._by_salt[salt].add(digest)

    def __bool__(self) -> bool:
        return bool(self._by_salt)

    def digest(self) -> str:
        """A digest that differs for other persons."""
        hashes = sorted(digest for digests in self._by_salt.values() for digest in digests)
        return blake2b("".join(hashes).encode(), digest_size=16).hexdigest()

    def find(self, ids: Iterable[str]) -> set[str]:
        """The ids that belong to forgotten persons."""
        salted = self._by_salt.items()
        return {id_ for id_ in ids if any(hash_id(id_, salt) in known for salt, known in salted)}


NOBODY = ForgottenIds()


def without_forgotten(decoded: Decoded, kind: RowKind, forgotten: ForgottenIds) -> Decoded:
    """The rows that belong to nobody who is forgotten.

    Args:
        decoded: rows, with all of `PERSON_PROPERTIES` that they have.
        kind: of the rows.
        forgotten: persons whose rows are left out.
    """
    found = [
        pc.is_in(ids, value_set=pa.array(sorted(known), pa.string()))
        for ids in _id_arrays(decoded, kind)
        if (known := forgotten.find(filter(None, pc.unique(ids).to_pylist())))
    ]
    if not found:
        return decoded
    is_forgotten = found[0]
    for other in found[1:]:
        is_forgotten = pc.or_(is_forgotten, other)
    return decoded.filter(pc.invert(is_forgotten))


def _id_arrays(decoded: Decoded, kind: RowKind) -> Iterable[pa.Array]:
    """Arrays of ids as text (string), with an item for each row."""
    if kind is PROFILE:
        yield decoded.names
    for name in PERSON_PROPERTIES:
        for json_type in _ID_TYPES:
            ids = decoded.properties.get(Typed(name, json_type))
            if ids is not None:
                yield _as_text(ids, json_type)


def _as_text(ids: pa.Array, json_type: JsonType) -> pa.Array:
    text = ids.cast(pa.string())
    # 42.0 is the id 42
    if json_type is JsonType.DOUBLE:
        return pc.replace_substring_regex(text, r"\.0$", "")
    return text
