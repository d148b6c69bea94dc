"""Sets of digests as sorted arrays, and the file of known keys."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_source.tables.profiles.digests import (
    Digests,
    KnownKeys,
    as_digests,
    find_digests,
    has_repeats,
    parse_digests,
    sort_digests,
    to_hex,
)

DIGESTS = st.lists(st.binary(min_size=16, max_size=16), max_size=30, unique_by=lambda d: d[:8])


def digests_of(values: list[bytes]) -> Digests:
    """An array of digests."""
    return as_digests(np.frombuffer(b"".join(values), np.uint8).reshape(-1, 16))


@given(values=DIGESTS)
def test_hexadecimal_text(values: list[bytes]) -> None:
    """Digests come back from their text."""
    digests = digests_of(values)
    assert to_hex(digests) == [value.hex() for value in values]
    assert (parse_digests(to_hex(digests)) == digests).all()


@pytest.mark.parametrize(
    "texts", [[""], ["00" * 15], ["00" * 17], ["00" * 15, "00" * 17], ["x" * 32], ["0" * 31 + " "]]
)
def test_text_that_is_no_digest(texts: list[str]) -> None:
    """Only texts of 32 hexadecimal digits are digests, each on its own."""
    with pytest.raises(ValueError, match=r"digest|hexadecimal"):
        parse_digests(texts)


@given(values=DIGESTS, others=DIGESTS)
def test_found_where_they_are(values: list[bytes], others: list[bytes]) -> None:
    """A digest is found at its place, and one that is not there is not."""
    within = sort_digests(digests_of(values))
    wanted = [*values, *others]
    found = find_digests(digests_of(wanted), within=within)
    for value, place in zip(wanted, found.tolist(), strict=True):
        assert (place >= 0) == (value in values)
        assert place < 0 or within[place].tobytes() == value


def test_half_a_digest_is_another_one() -> None:
    """Both words count."""
    within = digests_of([bytes(16)])
    assert find_digests(digests_of([bytes(15) + b"\1"]), within=within).tolist() == [-1]


def test_repeats() -> None:
    """Digests that are there twice are noticed."""
    one, other = bytes(16), b"\1" * 16
    assert not has_repeats(sort_digests(digests_of([other, one])))
    assert has_repeats(sort_digests(digests_of([one, other, one])))
    assert not has_repeats(digests_of([]))


def make_known(rows: int) -> KnownKeys:
    """Keys of some lines."""
    lines = [blake2b(b"line %d" % row, digest_size=16).digest() for row in range(rows)]
    keys = [blake2b(b"key %d" % row, digest_size=16).digest() for row in range(rows)]
    return KnownKeys.of(digests_of(lines), digests_of(keys))


@pytest.mark.parametrize("rows", [0, 1, 50])
def test_file_of_keys(tmp_path: Path, rows: int) -> None:
    """What is written is read, each key beside its line."""
    known = make_known(rows)
    known.write(tmp_path / "keys")
    read = KnownKeys.read(tmp_path / "keys")
    assert read is not None
    assert read.lines.tobytes() == known.lines.tobytes()
    assert read.keys.tobytes() == known.keys.tobytes()
    assert (np.diff(known.lines[:, 0].astype(object)) > 0).all()


def test_damaged_file_of_keys(tmp_path: Path) -> None:
    """A file with any byte changed, or cut off anywhere, is not read."""
    file = tmp_path / "keys"
    assert KnownKeys.read(file) is None
    make_known(3).write(file)
    content = file.read_bytes()
    for place in range(len(content)):
        file.write_bytes(content[:place])
        assert KnownKeys.read(file) is None
        file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert KnownKeys.read(file) is None
    file.write_bytes(content)
    assert KnownKeys.read(file) is not None
