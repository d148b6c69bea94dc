"""The spool believes only files that are exactly what was written."""

from __future__ import annotations

import gzip
import os
import stat
import sys
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path

import numpy as np
import orjson
import pytest

from mixpanel_source import constants
from mixpanel_source.decode.blocks import BlockReader
from mixpanel_source.decode.framing import inflate, iter_row_blocks
from mixpanel_source.decode.index.identity import EventIdentifier
from mixpanel_source.decode.verify import verify
from mixpanel_source.errors import ConfigError, TruncatedError
from mixpanel_source.tables.spool.cipher import SpoolCipher
from mixpanel_source.tables.spool.files import SelectedRows
from mixpanel_source.tables.spool.spool import Spool
from mixpanel_source.tables.spool.windows import SpooledWindow, find_verified

DAY = date(2026, 11, 14)
READER = BlockReader(EventIdentifier())
LINES = [
    orjson.dumps({"event": "Order", "properties": {"time": 1_794_614_400, "note": f"{n:0200}"}})
    for n in range(30)
]
NAME = "export-2026-11-14-00ff"


def spool_window(spool: Spool, lines: Iterable[bytes], *, gzipped: bool) -> None:
    """Write a window as a download does."""
    body = b"".join(line + b"\n" for line in lines)
    chunks = spool.write(NAME, [gzip.compress(body) if gzipped else body])
    verified = verify(iter_row_blocks(inflate(chunks) if gzipped else chunks), READER)
    spool.keep(
        NAME,
        gzipped=gzipped,
        fetched_at=1.0,
        requests=2,
        lines_bytes=verified.lines_bytes,
    )


def find(spool: Spool) -> SpooledWindow | None:
    """The window, as a later run finds it."""
    return find_verified(spool, NAME, READER, after=0.0)


def half(content: bytes) -> bytes:
    """The first half."""
    return content[: len(content) // 2]


def half_of_the_lines(content: bytes) -> bytes:
    """The first half, up to a line end."""
    return half(content).rpartition(b"\n")[0] + b"\n"


def zeroed(content: bytes) -> bytes:
    """As many zeros."""
    return bytes(len(content))


def zeroed_within_a_text(content: bytes) -> bytes:
    """Some of the digits in a text are zeros, which the repair of rows would accept."""
    return content.replace(b"0" * 100, bytes(100), 1)


def longer(content: bytes) -> bytes:
    """With another valid line at the end."""
    return content + LINES[0] + b"\n"


Damage = Callable[[bytes], bytes]


@pytest.fixture(params=[None, "secret"], ids=["readable", "encrypted"])
def cipher(request: pytest.FixtureRequest) -> SpoolCipher | None:
    """None, or a cipher."""
    return build_cipher(request.param)


def build_cipher(secret: str | None) -> SpoolCipher | None:
    """The cipher of a secret, if there is one."""
    return SpoolCipher(secret) if secret else None


@pytest.mark.parametrize("gzipped", [False, True], ids=["plain", "gzip"])
def test_window_is_found_again(tmp_path: Path, gzipped: bool, cipher: SpoolCipher | None) -> None:
    """A whole window is read from the disk as it was received."""
    spool = Spool(tmp_path / "spool", cipher)
    spool_window(spool, LINES, gzipped=gzipped)
    found = find(Spool(tmp_path / "spool", cipher and SpoolCipher("secret")))
    assert found is not None
    assert b"".join(found.spooled.row_blocks()).split(b"\n")[:-1] == LINES
    assert found.spooled.requests == 2
    spool.remove(NAME)
    assert [*(tmp_path / "spool").iterdir()] == []


@pytest.mark.parametrize(
    "damage", [half, half_of_the_lines, bytes.lower, zeroed, zeroed_within_a_text, longer]
)
def test_damaged_file_is_not_believed(tmp_path: Path, damage: Damage) -> None:
    """A file of another size or content is not the window, even if each of its lines is a row."""
    spool = Spool(tmp_path / "spool")
    spool_window(spool, LINES, gzipped=False)
    path = tmp_path / "spool" / f"{NAME}.jsonl"
    content = path.read_bytes()
    path.write_bytes(damage(content))
    assert path.read_bytes() != content
    assert find(spool) is None


@pytest.mark.parametrize("suffix", ["jsonl", "json"])
@pytest.mark.parametrize("damage", [half, zeroed, lambda _: b""], ids=["half", "zeroed", "empty"])
def test_damage_to_a_compressed_window(tmp_path: Path, suffix: str, damage: Damage) -> None:
    """Neither a damaged file nor a damaged description is believed."""
    spool = Spool(tmp_path / "spool")
    spool_window(spool, LINES, gzipped=True)
    path = tmp_path / "spool" / f"{NAME}.{suffix}"
    path.write_bytes(damage(path.read_bytes()))
    assert find(spool) is None


@pytest.mark.parametrize(
    "description", [b"[]", b"null", b"{}", b'{"fingerprint": [1]}', b'{"fingerprint": 1}']
)
def test_other_description_is_not_believed(tmp_path: Path, description: bytes) -> None:
    """A description that is JSON but lacks something does not count."""
    spool = Spool(tmp_path / "spool")
    spool_window(spool, LINES, gzipped=False)
    (tmp_path / "spool" / f"{NAME}.json").write_bytes(description)
    assert find(spool) is None


def test_size_of_the_lines_is_compared(tmp_path: Path) -> None:
    """A window whose lines have another size than recorded is not believed."""
    spool = Spool(tmp_path / "spool")
    spool_window(spool, LINES, gzipped=False)
    path = tmp_path / "spool" / f"{NAME}.json"
    description = orjson.loads(path.read_bytes())
    path.write_bytes(orjson.dumps({**description, "lines_bytes": 17}))
    assert find(spool) is None


def test_encrypted_file(tmp_path: Path) -> None:
    """Two files of the same window have nothing in common, with each other or with the lines."""
    contents = []
    for directory in (tmp_path / "one", tmp_path / "two"):
        spool_window(Spool(directory, SpoolCipher("secret")), LINES, gzipped=False)
        contents.append((directory / f"{NAME}.jsonl").read_bytes())
    blocks = [{c[at : at + 16] for at in range(0, len(c), 16)} for c in contents]
    assert not blocks[0] & blocks[1]
    assert not any(b"Order" in content or b"0" * 16 in content for content in contents)


@pytest.mark.parametrize(
    ("wrote", "reads"), [("secret", "other"), ("secret", None), (None, "secret")]
)
def test_file_that_is_encrypted_in_another_way(
    tmp_path: Path, wrote: str | None, reads: str | None
) -> None:
    """With another secret, or once the setting has changed, a window is fetched again."""
    spool_window(Spool(tmp_path, build_cipher(wrote)), LINES, gzipped=True)
    assert find(Spool(tmp_path, build_cipher(wrote))) is not None
    assert find(Spool(tmp_path, build_cipher(reads))) is None


@pytest.mark.parametrize("field", range(2), ids=["salt", "tag"])
def test_seal_that_is_damaged(tmp_path: Path, field: int) -> None:
    """Nothing is read with a wrong key, nor believed with a wrong tag."""
    spool = Spool(tmp_path, SpoolCipher("secret"))
    spool_window(spool, LINES, gzipped=False)
    path = tmp_path / f"{NAME}.json"
    description = orjson.loads(path.read_bytes())
    description["seal"][field] = description["seal"][field][::-1]
    path.write_bytes(orjson.dumps(description))
    assert find(spool) is None


def test_cipher_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install."""
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers", None)
    with pytest.raises(ConfigError, match=r"encrypt_spool needs .*\[encryption\]"):
        SpoolCipher("secret")


def test_file_that_changes_while_it_is_used(tmp_path: Path) -> None:
    """What is read a second time, because it did not fit into memory, is compared again."""
    spool = Spool(tmp_path / "spool")
    spool_window(spool, LINES, gzipped=False)
    found = find(spool)
    assert found is not None
    found.spooled.path.write_bytes(zeroed_within_a_text(found.spooled.path.read_bytes()))
    with pytest.raises(TruncatedError, match="changed on disk"):
        list(found.spooled.row_blocks())


@pytest.mark.parametrize("block_bytes", [1, 60, constants.BLOCK_BYTES])
def test_selected_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_bytes: int) -> None:
    """Rows are found by their positions, whatever the size of a block."""
    monkeypatch.setattr(constants, "BLOCK_BYTES", block_bytes)
    spool_window(Spool(tmp_path), LINES, gzipped=False)
    found = find(Spool(tmp_path))
    assert found is not None
    for positions in ([], [0], [len(LINES) - 1], [0, 2], [*range(len(LINES))]):
        selected = SelectedRows(found.spooled, np.array(positions, np.int64), len(LINES))
        assert b"".join(selected.row_blocks()) == b"".join(LINES[n] + b"\n" for n in positions)
    with pytest.raises(TruncatedError, match="changed on disk"):
        list(SelectedRows(found.spooled, np.array([0]), len(LINES) + 1).row_blocks())


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_files_are_private(tmp_path: Path) -> None:
    """Nobody else may read the directory or its files, not even if it was there before."""
    directory = tmp_path / "spool"
    directory.mkdir(mode=0o755)
    spool_window(Spool(directory), LINES, gzipped=False)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
    assert modes == {0o600}
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


@pytest.mark.skipif(sys.platform != "linux", reason="finds the names of open files in /proc")
def test_everything_is_flushed_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is on the disk before its description, and the names come last."""
    flushed: list[str] = []

    def note(descriptor: int) -> None:
        flushed.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)

    monkeypatch.setattr(os, "fsync", note)
    spool_window(Spool(tmp_path / "spool"), LINES, gzipped=False)
    assert flushed == [f"{NAME}.part", f"{NAME}.json.new", "spool"]
