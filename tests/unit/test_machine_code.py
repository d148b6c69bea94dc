"""The cache of machine code: it belongs to all sources, and damage to it does no harm."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mixpanel_source
from mixpanel_source.decode.scan import __main__ as compiler
from mixpanel_source.decode.scan import cache_directory as cache
from mixpanel_source.decode.scan import compiling, machine_code

PROGRAM = """
import numpy as np
from mixpanel_source.decode.scan.unescape import _escaped
text = np.frombuffer(b"u0041", np.uint8)
print(_escaped(text.ctypes.data, 0)[0])
"""
"""Calls a compiled function that calls one of another module."""


def run(root: Path, directory: Path) -> str:
    """Run `PROGRAM` with a copy of the package; returns what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(root), "NUMBA_CACHE_DIR": str(directory)}
    command = [sys.executable, "-c", PROGRAM]
    return subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.mark.slow
def test_machine_code_follows_what_it_calls(tmp_path: Path) -> None:
    """After an edit of a called function, the caller does not use old machine code.

    Nor does it use a damaged file of the cache.
    """
    root, directory = tmp_path / "root", tmp_path / "cache"
    package = root / "mixpanel_source"
    shutil.copytree(
        Path(mixpanel_source.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__")
    )
    assert run(root, directory) == "65"
    files = [path for path in directory.rglob("*") if path.is_file()]
    assert files
    for number, path in enumerate(files):
        path.write_bytes(path.read_bytes()[: number * 100])
    assert run(root, directory) == "65"
    called = package / "decode/scan/strings.py"
    text = called.read_text()
    assert text.count("code * 16 + byte - ZERO") == 1
    called.write_text(text.replace("code * 16 + byte - ZERO", "code * 16 + byte - ZERO + 1"))
    assert run(root, directory) == str(0x1152)


def test_all_sources_are_known() -> None:
    """What the compiled modules import from outside is part of the name of the directory."""
    scan = Path(cache.__file__).parent
    imported = {
        name
        for path in scan.glob("*.py")
        if path.name != "__main__.py"  # calls what is compiled
        for name in re.findall(r"^ *from \.\.([\w.]*) import", path.read_text(), re.MULTILINE)
    }
    # "." is `from ... import constants` of `tape`, whose limit is checked before compiled code runs
    assert imported == {".", *cache.OUTSIDE}


@pytest.mark.parametrize(
    "damage",
    [lambda content: content[:-9], lambda content: bytes(len(content)), lambda _: b""],
    ids=["cut", "zeroed", "empty"],
)
@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
def test_damaged_file_counts_as_missing(
    tmp_path: Path, suffix: str, damage: Callable[[bytes], bytes]
) -> None:
    """Neither a damaged index nor damaged machine code is read, and the next save replaces it."""
    checked: Any = machine_code._CheckedFile
    file = checked(str(tmp_path), "function", None)
    file.save("key", "code" * 99)
    assert file.load("key") == "code" * 99
    (path,) = tmp_path.glob(f"*.{suffix}")
    path.write_bytes(damage(path.read_bytes()))
    assert file.load("key") is None
    file.save("key", "new")
    assert file.load("key") == "new"


def test_no_directory_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If no directory can be written, the code is compiled without a cache."""
    (tmp_path / "file").touch()
    monkeypatch.setattr(cache, "_parents", lambda: [tmp_path / "file"])
    assert cache.cache_directory.__wrapped__() is None


def test_complete_cache_is_used_if_it_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code in a container image belongs to root, and its program runs as another user."""
    monkeypatch.setattr(cache, "_parents", lambda: [tmp_path])
    directory = cache.cache_directory.__wrapped__()
    assert directory is not None

    def refuse(**_: Any) -> None:
        raise PermissionError

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    assert cache.cache_directory.__wrapped__() is None
    (directory / cache.COMPLETE).touch()
    assert cache.cache_directory.__wrapped__() == directory
    monkeypatch.setattr(compiler, "cache_directory", lambda: directory)
    compiler.compile_scanner()
    assert not (directory / "lock").exists()


def test_old_directories_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many versions only the newest are kept."""
    monkeypatch.setattr(cache, "_parents", lambda: [tmp_path / "cache"])
    for number in range(7):
        monkeypatch.setattr(cache, "sources_digest", lambda number=number: str(number))
        directory = cache.cache_directory.__wrapped__()
        assert directory is not None
        os.utime(directory, (number, number))
    kept = sorted(path.name for path in (tmp_path / "cache").iterdir())
    assert kept == [f"mixpanel-source-{number}" for number in (3, 4, 5, 6)]


COMPILE = r"""
import os, time
from mixpanel_source.decode.scan.cache_directory import cache_directory
from mixpanel_source.decode.scan.compiling import Compilation
compilation = Compilation()
print(compilation.is_ready())
while not compilation.is_ready():
    time.sleep(0.1)
print(compilation._process.wait())
files = {*os.listdir(cache_directory())}
from mixpanel_source.decode.decoded import Selection
from mixpanel_source.decode.blocks import read_block
from mixpanel_source.decode.decoder import BlockDecoder
from mixpanel_source.decode.index.identity import EventIdentifier
from mixpanel_source.decode.value_types import EVENT
line = b'{"event":"A","properties":{"time":1,"a":"\u0041","b":[{}],"c":-1e3,"d":null,"e":true}}\n'
block = read_block(line * 9, EVENT, small=0)
assert block.tape is not None
EventIdentifier().of_tape(block.tape)
for raw in (True, False):
    decoded = BlockDecoder(EVENT, Selection(raw=raw)).decode(block, start=0, dropped=[1])
    print(decoded.row_count)
print(*({*os.listdir(cache_directory())} - files))
"""
"""Waits for the compiler, then reads and decodes."""


@pytest.mark.slow
def test_scanner_is_compiled_by_another_process(tmp_path: Path) -> None:
    """The scanner is not ready at first; once it is, all that is used of it is compiled."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", COMPILE], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "0", "8", "8"]


def test_compiler_that_fails_leaves_the_work_to_us(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If no other process can compile, this one does it when it needs the scanner."""
    monkeypatch.setattr(compiling, "cache_directory", lambda: tmp_path)
    monkeypatch.setattr(compiling, "PROGRAM", "no.such.module")
    compilation = compiling.Compilation()
    compilation.is_ready()
    assert compilation._process is not None
    compilation._process.wait()
    assert compilation.is_ready()
    monkeypatch.setattr(sys, "executable", "")
    assert compiling.Compilation().is_ready()
    monkeypatch.setattr(compiling, "cache_directory", lambda: None)
    assert compiling.Compilation().is_ready()
